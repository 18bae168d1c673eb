"""The pictures that other sites show beside a link: of public repositories alone, drawn once for a verdict."""

import struct

from django.conf import settings

from features.share_images.pages import ShareImage
from registry.models import Repository, Revision
from registry.moderation import quarantine
from tests.api.conftest import judged
from tests.site.conftest import CHECKS, push_more

PICTURE = "/alice/reviews/share.png"


def test_a_public_adapter_has_a_picture_that_is_drawn_once_for_a_verdict(visit, cast, reviews: Repository, monkeypatch):
    drawn: list[ShareImage] = []
    draw = ShareImage.png
    monkeypatch.setattr(ShareImage, "png", lambda image: drawn.append(image) or draw(image))
    first = visit().get(PICTURE)
    assert first["Content-Type"] == "image/png"
    assert struct.unpack(">II", first.content[16:24]) == (1200, 630)
    assert visit("alice").get(PICTURE).content == first.content
    assert visit().get(PICTURE, headers={"if-none-match": first["ETag"]}).status_code == 304
    [image] = drawn
    assert (image.namespace, image.name, image.state, image.checks) == (
        "alice",
        "reviews",
        "passed, 1 note",
        "3 of 3 checks",
    )
    assert ("adapter", "this version", "1.00") in image.numbers
    judged(push_more(cast, reviews, **{"notes.md": b"more"}), state="failed", checks=CHECKS)
    assert visit().get(PICTURE)["ETag"] == first["ETag"], "it is of the verified version"
    judged(push_more(cast, reviews, **{"notes.md": b"most"}), checks=CHECKS[:1])
    again = visit().get(PICTURE)
    assert again["ETag"] != first["ETag"]
    assert [image.state for image in drawn] == ["passed, 1 note", "passed"]


def test_a_page_names_its_picture_by_the_public_address(visit, reviews, secret):
    page = visit().get("/alice/reviews/tree/main").content.decode()
    assert f'<meta property="og:image" content="{settings.PUBLIC_URL}{PICTURE}">' in page
    assert '<meta name="twitter:card" content="summary_large_image">' in page
    assert "og:image" not in visit("alice").get("/acme/secret").content.decode()


def test_what_strangers_do_not_see_has_no_picture_for_anybody(visit, cast, reviews, secret):
    never = visit().get("/acme/sekret/share.png")
    assert never.status_code == 404
    for who in ("anonymous", "alice", "mona"):
        answer = visit(who).get("/acme/secret/share.png")
        assert answer.status_code == 404
    assert visit().get("/acme/secret/share.png").content.replace(b"secret", b"sekret") == never.content
    quarantine.quarantine(
        reviews,
        cast.session("mona"),
        reason="It phones home.",
        revision=Revision.objects.get(repository=reviews, parent__isnull=False),
    )
    assert visit().get(PICTURE).status_code == 404
    quarantine.quarantine(reviews, cast.session("mona"), reason="It phones home.")
    assert visit("alice").get(PICTURE).status_code == 404


def test_long_names_and_missing_facts_are_drawn_too():
    image = ShareImage("a" * 40, "b" * 96, ["", "x" * 300])
    assert image.png().startswith(b"\x89PNG")
