"""Links to an organisation: by hand and by mail, with an account or without, and everything that ends one."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from features.organization_links import verbs
from registry.kernel import site_settings
from registry.kernel.errors import QuotaExceeded, ValueInvalid
from registry.models import AuditEvent, Invitation, JoinLink, Membership, User
from registry.people import accounts
from registry.people.organizations import invitations, join_links, organizations
from registry.people.organizations.join_links import Terms
from tests.cast import PASSWORD
from tests.registry.test_required_second_factor import give_factor

PAGE = "/organizations/acme/settings/links"
TERMS = {"role": "write", "uses": "1", "days": "7", "email": "", "note": ""}
NEW = {"username": "frida", "email": "frida@example.org", "password1": "seven teeth here"}
NEW |= {"password2": NEW["password1"]}


def text(answer) -> str:
    return re.sub(r"<[^>]+>", " ", answer.content.decode())


def link_in(body: str) -> str:
    return re.search(r"/join\?invitation=[\w-]+", body)[0]


def secret_of(link: str) -> str:
    return link.partition("=")[2]


def link_of(cast, who: str = "alice", **terms) -> str:
    """Return the address behind a new link of acme."""
    return f"/join?invitation={verbs.create('acme', Terms(**{'role': 'read'} | terms), cast.session(who))}"


def accept(client: Client, link: str):
    return client.post("/join/accept", {"invitation": secret_of(link)})


def role_of(name: str) -> str:
    rows = Membership.objects.filter(user__username=name, organization__namespace__name="acme")
    return rows.values_list("role", flat=True).first() or ""


# --- with an account --------------------------------------------------------------------------------------------------
def test_alice_makes_a_link_and_carol_who_has_an_account_is_in(visit, cast):
    alice = visit("alice")
    page = alice.post(PAGE, {**TERMS, "uses": "2", "note": "for the <reviewers>"})
    link = link_in(page.content.decode())
    listed = alice.get(PAGE).content.decode()
    assert "for the &lt;reviewers&gt;" in listed
    assert "0 of 2" in text(alice.get(PAGE))
    assert secret_of(link) not in listed, "the link is shown once"
    assert secret_of(link) not in str(list(JoinLink.objects.values())), "only its digest is kept"
    stranger = visit()
    assert "alice" in text(stranger.get(link))
    assert stranger.get(link).status_code == 200
    assert accept(stranger, link)["Location"].startswith("/login")
    signing_in = stranger.get(link).content.decode()
    target = re.search(r'href="(/login\?next=[^"]+)"', signing_in)[1]
    assert stranger.post(target, {"username": "carol", "password": PASSWORD, "next": link})["Location"] == link
    shown = text(stranger.get(link))
    assert "Join as carol" in shown
    assert "You would push to all its adapters." in shown
    assert role_of("carol") == "", "opening it accepts nothing: scanners open links"
    assert accept(stranger, link)["Location"] == "/acme"
    assert role_of("carol") == "write"
    assert "already a member" in text(stranger.get(link))
    accept(stranger, link)
    assert JoinLink.objects.get().uses == 1, "a member uses nothing up"
    acts = AuditEvent.objects.filter(action__startswith="join-link").order_by("pk")
    assert list(acts.values_list("actor", "action", "object")) == [
        ("alice", "join-link:create", "acme: for the <reviewers>"),
        ("carol", "join-link:use", "acme/carol"),
    ]


def test_a_link_is_for_one_unless_it_says_more_and_never_changes_the_role_of_a_member(visit, cast):
    link = link_of(cast)
    accept(visit("erin"), link)
    accept(visit("bob"), link)
    assert (role_of("bob"), role_of("erin")) == ("write", "read")
    assert accept(visit("carol"), link).status_code == 302
    refused = accept(visit("mona"), link)
    assert refused.status_code == 404
    assert "has been used or has expired" in text(refused)
    assert (role_of("carol"), role_of("mona")) == ("read", "")


def test_whoever_declined_or_is_invited_otherwise_may_use_a_link(visit, cast):
    invitations.invite("acme", "carol", "admin", cast.session("alice"))
    invitations.decline("acme", cast.session("carol"))
    accept(visit("carol"), link_of(cast))
    assert role_of("carol") == "read"
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("end", ["removed", "left", "invited again"])
def test_an_older_link_lets_nobody_back_in_or_higher_than_before(visit, cast, end):
    link = link_of(cast, role="write", uses=9)
    organizations.set_member(cast.acme, cast["carol"], "read", by=cast["alice"])
    alice, carol = cast.session("alice"), cast.session("carol")
    if end == "left":
        organizations.leave("acme", carol)
    else:
        organizations.remove_member("acme", "carol", alice)
    if end == "invited again":
        invitations.invite("acme", "carol", "read", alice)
    assert accept(visit("carol"), link).status_code == 404
    assert (role_of("carol"), JoinLink.objects.get().uses) == ("", 0)
    assert accept(visit("carol"), link_of(cast)).status_code == 302, "who makes a new one wants them"
    assert role_of("carol") == "read"


@pytest.mark.parametrize(
    "ending", ["withdrawn", "has expired", "inviter suspended", "inviter dismissed", "inviter without a factor", "gone"]
)
def test_what_ends_a_link(visit, cast, ending):
    organizations.set_member(cast.acme, cast["bob"], "admin", by=cast["alice"])
    link, carol = link_of(cast, "bob"), visit("carol")
    assert carol.get(link).status_code == 200
    if ending == "withdrawn":
        assert visit("alice").post(f"{PAGE}/{JoinLink.objects.get().pk}/withdraw")["Location"] == PAGE
    elif ending == "has expired":
        JoinLink.objects.update(ends_at=timezone.now())
    elif ending == "inviter suspended":
        User.objects.filter(username="bob").update(is_active=False)
    elif ending == "inviter dismissed":
        organizations.set_member(cast.acme, cast["bob"], "write", by=cast["alice"])
    elif ending == "inviter without a factor":
        give_factor(cast["alice"])
        organizations.require_second_factor(cast.acme, True, cast.session("alice"))
    else:
        link = link[:-1] + ("x" if link[-1] != "x" else "y")
    for client in (carol, visit()):
        assert accept(client, link).status_code in {302, 404}
    assert carol.get(link).status_code == 404
    assert "This invitation has been used or has expired." in text(visit().get(link))
    assert visit().post("/join", {**NEW, "invitation": secret_of(link)}).status_code == 302, "registration is open"
    assert (role_of("carol"), role_of("frida")) == ("", "")
    assert not JoinLink.objects.filter(uses__gt=0).exists()
    assert (ending == "gone") == ("0 of 1" in text(visit("alice").get(PAGE)))


def test_a_person_who_is_suspended_or_left_accepts_nothing(visit, cast):
    link, carol = link_of(cast), visit("carol")
    User.objects.filter(username="carol").update(is_active=False)
    assert accept(carol, link)["Location"].startswith("/login")
    assert role_of("carol") == ""


@pytest.mark.parametrize(
    ("who", "status"),
    [("anonymous", 302), ("carol", 403), ("bob", 403), ("dave", 403), ("erin", 403), ("mona", 403), ("ada", 200)],
)
def test_who_may_make_see_and_withdraw_links(visit, cast, who, status):
    link_of(cast, note="of alice")
    client, number = visit(who), JoinLink.objects.get().pk
    assert client.get(PAGE).status_code == status
    assert client.post(PAGE, TERMS).status_code == status
    assert client.post(f"{PAGE}/{number}/withdraw").status_code == (302 if status == 200 else status)
    assert ("of alice" in client.get(PAGE, follow=True).content.decode()) is False
    assert JoinLink.objects.filter(ends_at__gt=timezone.now()).count() == 1


def test_no_other_organisation_and_not_the_hub_ends_or_counts_a_link(visit, cast):
    organizations.create_organization("guild", by=cast["carol"])
    link, number = link_of(cast), JoinLink.objects.get().pk
    visit("carol").post(f"/organizations/guild/settings/links/{number}/withdraw")
    join_links.revoke(number, cast.session("ada"))
    assert join_links.list_open(cast.session("ada")).count() == 0
    accept(visit("carol"), link)
    assert role_of("carol") == "read"


def test_terms_that_cannot_be(visit, cast):
    alice = visit("alice")
    for change in ({"uses": "0"}, {"uses": "1001"}, {"days": "91"}, {"role": "owner"}, {"email": "no address"}):
        assert alice.post(PAGE, {**TERMS, **change}).status_code == 400, change
    with pytest.raises(ValueInvalid, match="one person"):
        link_of(cast, uses=2, email="a@example.org")
    assert not JoinLink.objects.exists()


def test_links_and_letters_are_bounded(visit, cast, monkeypatch):
    monkeypatch.setattr(verbs, "MAX_OPEN", 2)
    monkeypatch.setattr(verbs, "MAX_LETTERS", 1)
    alice = cast.session("alice")
    link_of(cast, email="one@example.org")
    verbs.withdraw("acme", JoinLink.objects.get().pk, alice)
    assert visit("alice").post(PAGE, TERMS).status_code == 200
    page = visit("alice")
    with pytest.raises(Exception, match="by e-mail today"):
        link_of(cast, email="two@example.org")
    link_of(cast)
    refused = page.post(PAGE, TERMS)
    assert refused.status_code == 403
    assert "has 2 open links" in text(refused)


# --- without an account -----------------------------------------------------------------------------------------------
def test_where_registration_is_open_a_stranger_makes_an_account_and_is_in(visit, cast):
    link, stranger = link_of(cast, role="contributor"), visit()
    assert "Or create an account" in text(stranger.get(link))
    form = {**NEW, "invitation": secret_of(link)}
    assert stranger.post("/join", {**form, "username": "a/b"}).status_code == 400
    assert JoinLink.objects.get().uses == 0, "a refused form uses nothing up"
    assert stranger.post("/join", form)["Location"] == "/acme"
    assert role_of("frida") == "contributor"
    assert stranger.get("/settings/profile").status_code == 200, "signed in"
    assert not User.objects.get(username="frida").email_verified, "a link passed on by hand proves no address"
    second = visit()
    assert second.post("/join", {**form, "username": "greta"}).status_code == 302
    assert role_of("greta") == "", "the link was used: an account like any other"


@pytest.mark.parametrize(
    ("registration", "setting", "lets_in"),
    [
        ("invite", "accounts", False),
        ("invite", "anybody", True),
        ("closed", "accounts", False),
        ("closed", "anybody", False),
        ("open", "accounts", True),
    ],
)
def test_the_hub_decides_whether_organisations_let_strangers_in(visit, cast, registration, setting, lets_in):
    site_settings.change_setting("registration", registration, by=cast["ada"])
    site_settings.change_setting("organization_invitations", setting, by=cast["ada"])
    link, stranger = link_of(cast), visit()
    page = text(stranger.get(link))
    assert ("Or create an account" in page) is lets_in
    assert ("This link cannot create accounts" in page) is not lets_in
    answer = stranger.post("/join", {**NEW, "invitation": secret_of(link)})
    assert answer.status_code == (302 if lets_in else 403)
    assert User.objects.filter(username="frida").exists() is lets_in
    assert (role_of("frida") == "read") is lets_in
    assert JoinLink.objects.get().uses == int(lets_in)
    assert accept(visit("carol"), link_of(cast)).status_code == 302
    assert role_of("carol") == "read", "who has an account is never kept out"


def test_a_link_to_an_organisation_is_no_invitation_to_the_hub(cast):
    site_settings.change_setting("registration", "invite", by=cast["ada"])
    secret = secret_of(link_of(cast))
    with pytest.raises(Exception, match="used or has expired"):
        accounts.register("frida", password=NEW["password1"], invitation=secret)
    assert not User.objects.filter(username="frida").exists()


# --- by mail ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def mailing(settings) -> None:
    settings.MAIL_FROM = "hub@example.org"
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"


def test_a_letter_goes_out_and_proves_the_address(visit, cast, mailing):
    page = visit("alice").post(PAGE, {**TERMS, "email": "Frida@example.org", "note": "secret plan"})
    [letter] = mail.outbox
    assert letter.to == ["Frida@example.org"]
    assert "alice invites you to acme" in letter.subject
    assert "secret plan" not in letter.body, "a note is for administrators"
    assert "with the link to Frida@example.org" in re.sub(r"\s+", " ", text(page))
    link = link_in(letter.body)
    assert secret_of(link) not in page.content.decode(), "who invites must not prove the address for somebody else"
    stranger = visit()
    assert 'value="Frida@example.org"' in stranger.get(link).content.decode()
    assert stranger.post("/join", {**NEW, "invitation": secret_of(link)})["Location"] == "/acme"
    user = User.objects.get(username="frida")
    assert (user.email_verified, role_of("frida")) == (True, "write")


def test_another_address_or_one_of_somebody_else_is_not_proven_by_it(visit, cast, mailing):
    for number, (address, typed) in enumerate(
        (("frida@example.org", "other@example.org"), ("alice@example.org", "alice@example.org"))
    ):
        link = link_of(cast, email=address)
        visit().post("/join", {**NEW, "username": f"frida{number}", "email": typed, "invitation": secret_of(link)})
        user = User.objects.get(username=f"frida{number}")
        assert (user.email_verified, role_of(user.username)) == (False, "read")


def test_a_letter_proves_the_address_of_an_account_that_had_not(visit, cast, mailing):
    User.objects.filter(username="carol").update(email_verified=False)
    accept(visit("carol"), link_of(cast, email="carol@example.org"))
    assert User.objects.get(username="carol").email_verified
    assert role_of("carol") == "read"


def test_where_no_mail_is_sent_the_page_says_so_and_shows_a_link_that_proves_nothing(visit, cast):
    page = visit("alice").post(PAGE, {**TERMS, "email": "frida@example.org"})
    assert "sends no e-mail: pass the link on to frida@example.org" in re.sub(r"\s+", " ", text(page))
    assert mail.outbox == []
    link = link_in(page.content.decode())
    visit().post("/join", {**NEW, "invitation": secret_of(link)})
    assert (User.objects.get(username="frida").email_verified, role_of("frida")) == (False, "write")
    hub = visit("ada").post("/settings/invitations", {"uses": "1", "days": "7", "email": "x@example.org", "note": ""})
    assert "This hub sends no e-mail" in text(hub)
    assert "It went to" not in text(hub)


def test_who_has_proven_no_address_invites_nobody(visit, cast, mailing):
    User.objects.filter(username="alice").update(email_verified=False)
    assert visit("alice").post(PAGE, {**TERMS, "email": "frida@example.org"}).status_code == 403
    assert mail.outbox == []


def test_a_link_ends_on_its_day(cast):
    link_of(cast, days=3)
    assert abs(JoinLink.objects.get().ends_at - timezone.now() - timedelta(days=3)) < timedelta(minutes=1)


def test_names_are_not_hoarded_by_handing_organisations_to_others_by_a_link(cast, monkeypatch):
    monkeypatch.setattr(organizations, "MAX_ADMINISTERED", 1)
    organizations.create_as("one", cast.session("carol"))
    link = link_of(cast, role="admin")
    with pytest.raises(QuotaExceeded):
        verbs.accept(secret_of(link), cast.session("carol"))
    assert (role_of("carol"), JoinLink.objects.get().uses) == ("", 0)
