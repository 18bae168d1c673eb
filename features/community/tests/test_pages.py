"""Likes and follows on the website: the heart, the buttons, and the lists on the pages of people."""

import pytest

from features.community import verbs
from features.community.models import Like
from features.community.verbs import FEATURE
from registry.models import BaseFollow, Follow, Membership
from registry.publish import retirement
from tests.api.conftest import BASE
from tests.site.conftest import leads_back

REVIEWS = "/alice/reviews"


def text(answer) -> str:
    return answer.content.decode()


def test_the_heart_is_a_form_that_gives_and_takes_back(visit, reviews):
    carol = visit("carol")
    assert 'aria-pressed="false"' in text(carol.get(REVIEWS))
    page = text(carol.post(f"{REVIEWS}/like", follow=True))
    assert 'aria-pressed="true"' in page
    assert "Like, 1 so far" in page
    carol.post(f"{REVIEWS}/unlike")
    assert not Like.objects.exists()


@pytest.mark.parametrize(("form", "own"), [(f"{REVIEWS}/like", REVIEWS), ("/settings/following/alice", "/alice")])
def test_a_form_of_the_head_leads_back_to_its_page(visit, reviews, form, own):
    leads_back(visit, form, own)


def test_nobody_is_asked_to_sign_in_before_he_likes(visit, reviews):
    answer = visit().post(f"{REVIEWS}/like")
    assert answer.url.startswith("/login?")
    assert not Like.objects.exists()


def test_a_stranger_cannot_like_what_he_may_not_see(visit, secret):
    assert visit("carol").post("/acme/secret/like").status_code == 404


def test_people_follow_from_the_page(visit, cast):
    carol = visit("carol")
    assert "Following" in text(carol.post("/settings/following/acme", follow=True))
    carol.post("/settings/following/acme/stop")
    assert not Follow.objects.exists()
    assert carol.post("/settings/following/carol").status_code == 400


def test_followers_and_likes_have_lists_of_their_own(visit, cast, reviews, secret):
    verbs.follow(cast["alice"].namespace, cast.session("carol"))
    verbs.like(reviews, cast.session("carol"))
    verbs.like(secret, cast.session("erin"))
    assert "carol" in text(visit().get("/alice?show=followers"))
    assert 'href="/alice"' in text(visit().get("/carol?show=following"))
    assert 'href="/alice/reviews"' in text(visit().get("/carol?show=likes"))
    assert "secret" not in text(visit().get("/erin?show=likes"))
    assert "secret" in text(visit("bob").get("/erin?show=likes"))
    assert "carol" in text(visit().get("/alice/reviews/likers"))
    assert "/alice/reviews/likers" in text(visit().get("/alice/reviews"))


def test_long_lists_of_people_come_in_pages(visit, cast, monkeypatch):
    monkeypatch.setattr("features.community.pages.PAGE", 2)
    for name in ("bob", "carol", "dave"):
        verbs.follow(cast["alice"].namespace, cast.session(name))
    first = visit().get("/alice?show=followers")
    assert "bob" not in first.context["rows"][0]
    second = visit().get(f"/alice{first.context['next']}")
    assert [row[0] for row in second.context["rows"]] == ["bob"]
    assert second.context["next"] == ""


# --- the data of a person --------------------------------------------------------------------------------------------
def test_the_export_has_the_likes_of_what_a_person_sees_still(visit, cast, reviews, secret):
    for liked in (reviews, secret):
        verbs.like(liked, cast.session("bob"))
    exported = lambda: list(dict(FEATURE.personal_data(cast["bob"]))["likes"])
    assert sorted(exported()) == ["acme/secret", "alice/reviews"]
    Membership.objects.filter(user=cast["bob"]).delete()
    assert exported() == ["alice/reviews"]


def test_likes_and_follows_go_with_the_account(cast, reviews):
    carol, alice = cast.session("carol"), cast.session("alice")
    verbs.like(reviews, carol)
    verbs.follow(reviews.namespace, carol)
    verbs.follow(cast["carol"].namespace, alice)
    verbs.follow_base(BASE, carol)
    retirement.delete_account(cast["carol"], with_repositories=False)
    assert [model.objects.count() for model in (Like, Follow, BaseFollow)] == [0, 0, 0]
    reviews.refresh_from_db()
    assert reviews.likes == 0
