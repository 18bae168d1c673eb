"""A person's own account: sign-ins under attack, profile and picture, the data, leaving, and joining by a link."""

import io
import re
import struct

import pytest
from django.test import Client
from PIL import Image

from registry.kernel import site_settings
from registry.kernel.errors import AccountNotEmpty
from registry.models import AuditEvent, Avatar, JoinLink, Repository, User
from registry.people import accounts
from registry.people.organizations import join_links
from registry.publish import retirement
from tests.cast import PASSWORD

NEW = {
    "username": "frida",
    "email": "frida@example.org",
    "password1": "seven teeth here",
    "password2": "seven teeth here",
}


def text(answer):
    return re.sub(r"<[^>]+>", " ", answer.content.decode())


@pytest.fixture
def alice(visit, cast) -> Client:
    """The browser of alice, who has just signed in."""
    client = visit()
    assert client.post("/login", {"username": "alice", "password": PASSWORD}).status_code == 302
    return client


# --- signing in ------------------------------------------------------------------------------------------------------
@pytest.mark.merge
def test_an_attack_from_sixty_addresses_never_keeps_the_owner_out(visit, cast):
    for round_number in range(3):
        for number in range(60):  # five guesses of each are free: 300 count, however fast the machine is
            attacker = visit("anonymous", REMOTE_ADDR=f"203.0.113.{number}")
            for _ in range(3):
                attacker.post("/login", {"username": "alice", "password": f"guess {round_number}"})
        owner = visit("anonymous", REMOTE_ADDR="198.51.100.7")
        assert owner.post("/login", {"username": "alice", "password": PASSWORD}).status_code == 302
    rows = AuditEvent.objects.filter(action="account:sign-in-failed", object="alice")
    guesses = rows.order_by("-pk").first().after["wrong_today"]
    assert guesses >= 256
    assert rows.count() < 20, "many guesses are not many rows"
    assert AuditEvent.objects.filter(action="account:sign-in", actor="alice").count() == 3


def test_names_that_nobody_has_fill_no_log(visit, cast):
    client = visit()
    for number in range(15):
        client.post("/login", {"username": f"invented-{number}", "password": "guess"})
    assert AuditEvent.objects.filter(action="account:sign-in-failed", object="(nobody)").count() < 10


# --- profile ---------------------------------------------------------------------------------------------------------
def picture(format: str = "PNG", size: tuple[int, int] = (300, 200)) -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", size, "#0b6e5a").save(file, format)
    file.seek(0)
    file.name = f"me.{format.lower()}"
    return file


def test_a_picture_is_encoded_anew_and_shown(alice, visit):
    assert alice.post("/settings/profile/picture", {"picture": picture("JPEG")}).status_code == 302
    sent = visit().get("/avatars/alice.webp")
    assert sent["Content-Type"] == "image/webp"
    assert Image.open(io.BytesIO(sent.content)).size == (256, 256)
    assert sent["Cache-Control"] == "public, max-age=60"
    assert "/avatars/alice.webp" in visit().get("/alice").content.decode()
    assert visit().get("/avatars/bob.webp").status_code == 404
    alice.post("/settings/profile/picture/remove")
    assert not Avatar.objects.exists()


@pytest.mark.parametrize("content", [b"", b"GIF89a...", b"\x89PNG\r\n\x1a\nbroken", b"<svg/>", b"x" * (3 << 20)])
def test_what_is_no_picture_is_refused(alice, content):
    file = io.BytesIO(content)
    file.name = "me.png"
    answer = alice.post("/settings/profile/picture", {"picture": file})
    assert answer.status_code == 400
    assert not Avatar.objects.exists()


@pytest.mark.parametrize(
    "entry",
    [
        struct.pack("<HHII", 40965, 6, 1, 0x5DFBD3D1),  # struct.error: a byte that is none
        struct.pack("<HHII", 282, 1, 3, 0x00C2CE6F),  # TypeError: a resolution that is text
        struct.pack("<HHII", 305, 11, 1, 0x423E96D0),  # AttributeError: a program that is a number
    ],
)
def test_a_picture_with_crafted_metadata_is_refused(alice, entry):
    turned = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + turned + entry + bytes(4)
    jpeg = picture("JPEG").getvalue()
    file = io.BytesIO(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    file.name = "me.jpeg"
    assert alice.post("/settings/profile/picture", {"picture": file}).status_code == 400
    assert not Avatar.objects.exists()


def test_a_picture_of_too_many_pixels_is_refused(alice):
    assert alice.post("/settings/profile/picture", {"picture": picture(size=(5000, 5000))}).status_code == 400


def test_links_are_https_and_marked_as_a_strangers(alice, visit):
    form = {"full_name": "Alice", "bio": "Trains adapters.", "links": "https://alice.example/\r\nhttps://b.example"}
    assert "Saved" in text(alice.post("/settings/profile", form))
    page = visit().get("/alice").content.decode()
    assert "Trains adapters." in page
    assert re.search(r'<a[^>]*href="https://alice\.example/"[^>]*rel="nofollow ugc noopener"', page)
    for bad in ("http://x.example", "javascript:alert(1)", "\n".join(["https://x.example"] * 6)):
        assert alice.post("/settings/profile", {**form, "links": bad}).status_code == 400
    assert User.objects.get(username="alice").links == ["https://alice.example/", "https://b.example"]


# --- data and leaving ------------------------------------------------------------------------------------------------
def test_an_account_is_deleted_with_what_is_ones_own(visit, cast):
    carol = visit()
    carol.post("/login", {"username": "carol", "password": PASSWORD})
    cast.repository("carol/x", by="carol")
    token = cast.token("carol")
    assert "type your name" in text(carol.post("/settings/account/delete", {"confirm": "caro"}))
    with pytest.raises(AccountNotEmpty) as refusal:
        retirement.delete_account(cast["carol"], with_repositories=False)
    assert refusal.value.code == "account-not-empty"
    kept = carol.post("/settings/account/delete", {"confirm": "carol"})
    assert (kept.status_code, "carol/x" in text(kept)) == (409, True)
    done = carol.post("/settings/account/delete", {"confirm": "carol", "with_repositories": "on"})
    assert done["Location"] == "/"
    assert not Repository.objects.filter(name="x").exists()
    assert carol.get("/settings").status_code == 302
    assert visit().get("/carol").status_code == 404
    assert visit().post("/login", {"username": "carol", "password": PASSWORD}).status_code == 400
    assert visit().get("/api/whoami-v2", headers={"authorization": f"Bearer {token}"}).status_code == 401
    row = User.objects.get(pk=cast["carol"].pk)
    assert (row.email, row.full_name, row.is_active) == ("", "", False)
    assert visit().post("/join", {**NEW, "username": "Carol"}).status_code == 409, "the name is retired"
    assert AuditEvent.objects.filter(action="person:delete", object="carol").exists()


@pytest.mark.parametrize("who", ["ada", "alice"])
def test_the_last_administrator_stays(visit, cast, who):
    client = visit()
    client.post("/login", {"username": who, "password": PASSWORD})
    assert client.post("/settings/account/delete", {"confirm": who}).status_code in {400, 409}
    assert User.objects.get(username=who).is_active


# --- joining by a link -----------------------------------------------------------------------------------------------
def test_a_link_lets_so_many_in_and_no_more(visit, cast):
    site_settings.change_setting("registration", "invite", by=cast["ada"])
    assert visit().get("/join").status_code == 403
    assert visit().get("/join?invitation=guess").status_code == 403
    admin = visit()
    admin.post("/login", {"username": "ada", "password": PASSWORD})
    made = admin.post("/settings/invitations", {"uses": "1", "days": "7", "email": "", "note": "for frida"})
    link = re.search(r"/join\?invitation=[\w-]+", made.content.decode())[0]
    assert visit().get(link).status_code == 200
    form = {**NEW, "invitation": link.partition("=")[2]}
    assert visit().post("/join", {**form, "username": "a/b"}).status_code == 400
    assert JoinLink.objects.get().uses == 0, "a refused form uses nothing up"
    assert visit().post("/join", form).status_code == 302
    assert visit().post("/join", {**form, "username": "greta"}).status_code == 403
    assert not User.objects.filter(username="greta").exists()


def test_a_link_by_mail_proves_the_address(visit, cast):
    site_settings.change_setting("registration", "invite", by=cast["ada"])
    secret = join_links.create(join_links.Terms(email="frida@example.org"), cast.session("ada"))
    user = accounts.register("frida", email="Frida@example.org", password=NEW["password1"], invitation=secret)
    assert user.email_verified
    secret = join_links.create(join_links.Terms(email="alice@example.org"), cast.session("ada"))
    user = accounts.register("greta", email="alice@example.org", password=NEW["password1"], invitation=secret)
    assert not user.email_verified, "the address is alice's"


def test_only_administrators_invite_and_a_revoked_link_is_dead(visit, cast):
    for who in ("alice", "mona"):
        assert visit(who).get("/settings/invitations").status_code == 404
    site_settings.change_setting("registration", "invite", by=cast["ada"])
    secret = join_links.create(join_links.Terms(uses=5), cast.session("ada"))
    visit("ada").post(f"/settings/invitations/{JoinLink.objects.get().pk}/revoke")
    assert visit().get(f"/join?invitation={secret}").status_code == 403


def test_a_link_of_the_hub_ends_with_the_rights_of_who_made_it(visit, cast):
    accounts.set_role(cast["carol"], "admin", by=cast.session("ada"))
    site_settings.change_setting("registration", "invite", by=cast["ada"])
    secret = join_links.create(join_links.Terms(uses=5), cast.session("carol"))
    assert visit().get(f"/join?invitation={secret}").status_code == 200
    accounts.set_role(cast["carol"], "user", by=cast.session("ada"))
    assert visit().get(f"/join?invitation={secret}").status_code == 403
