"""Likes, follows and overviews on the wire, asked by hand."""

from datetime import timedelta

from django.utils import timezone

from registry.models import Repository, User
from registry.proof.verified import withdrawals
from registry.repos import download_counts, refs
from tests.hf.test_refusals import refused
from tests.hf.wire import Wire


def test_a_like_counts_once_and_can_be_taken_back(wire: Wire, cast):
    cast.repository("alice/reviews")
    at = "/api/models/alice/reviews"
    for who in ("bob", "bob", "carol"):
        assert wire.ask("POST", f"{at}/like", who=who).status_code == 200
    assert wire.get(at).json()["likes"] == 2
    assert [one["user"] for one in wire.get(f"{at}/likers").json()] == ["carol", "bob"]
    assert [one["id"] for one in wire.get("/api/models?sort=likes").json()] == ["alice/reviews"]
    for _ in range(2):
        wire.ask("DELETE", f"{at}/like", who="bob")
    assert wire.get(at).json()["likes"] == 1
    refused(wire.ask("POST", f"{at}/like", who="nobody"), 401, "sign-in-required")
    refused(wire.ask("POST", f"{at}/like", who=cast.token("bob", "read")), 403, "not-allowed")


def test_likes_of_what_one_may_not_see_are_not_listed(wire: Wire, cast):
    secret = cast.repository("acme/secret")
    wire.ask("POST", "/api/models/acme/secret/like", who="bob")
    Repository.objects.filter(pk=secret.pk).update(private=True)
    assert wire.get("/api/users/bob/likes", who="carol").json() == []
    assert wire.get("/api/users/bob/overview", who="carol").json()["numLikes"] == 0
    (mine,) = wire.get("/api/users/BOB/likes", who="bob").json()
    assert mine["repo"] == {"name": "acme/secret", "type": "model"}
    refused(
        wire.ask("POST", "/api/models/acme/secret/like", who="carol"), 404, "adapter-not-found", hub_code="RepoNotFound"
    )


def test_an_id_without_a_namespace_is_not_there_to_be_unliked(wire: Wire, cast):
    refused(wire.ask("DELETE", "/api/models/gpt2/like"), 404, "adapter-not-found", hub_code="RepoNotFound")


def test_people_follow_people_and_organisations(wire: Wire, cast):
    for path in ("/api/users/alice/follow", "/api/organizations/acme/follow"):
        assert wire.ask("POST", path, who="carol").json() == {"isFollowing": True}
    assert [one["user"] for one in wire.get("/api/users/alice/followers").json()] == ["carol"]
    assert [one["user"] for one in wire.get("/api/organizations/acme/followers").json()] == ["carol"]
    assert [one["user"] for one in wire.get("/api/users/carol/following").json()] == ["alice"]
    overview = wire.get("/api/users/carol/overview").json()
    assert (overview["numFollowing"], overview["numFollowers"], overview["type"]) == (2, 0, "user")
    for type in ("model", "dataset", "space"):
        cast.repository("alice/one", type=type)
    overview = wire.get("/api/users/alice/overview").json()
    assert (overview["numModels"], overview["numDatasets"], overview["numSpaces"]) == (1, 1, 1)
    assert wire.get("/api/organizations/acme/overview", who="carol").json()["isFollowing"] is True
    wire.ask("DELETE", "/api/users/alice/follow", who="carol")
    assert wire.get("/api/users/alice/followers").json() == []
    refused(wire.ask("POST", "/api/users/carol/follow", who="carol"), 400, "value-invalid", "yourself")
    refused(wire.ask("POST", "/api/users/acme/follow", who="carol"), 404, "namespace-not-found")


def test_who_is_suspended_is_nowhere(wire: Wire, cast):
    cast.repository("alice/reviews")
    wire.ask("POST", "/api/models/alice/reviews/like", who="bob")
    wire.ask("POST", "/api/users/alice/follow", who="bob")
    User.objects.filter(username="bob").update(is_active=False)
    assert wire.get("/api/models/alice/reviews/likers").json() == []
    assert wire.get("/api/users/alice/followers").json() == []
    refused(wire.get("/api/users/bob/overview"), 404, "namespace-not-found")


def test_a_like_trends_until_it_is_taken_back(wire: Wire, cast):
    old, new = (cast.repository(f"acme/{name}") for name in ("old", "new"))
    long_ago = timezone.now() - timedelta(days=21)
    Repository.objects.filter(pk=old.pk).update(trending=4 * download_counts.download_weight(long_ago))
    Repository.objects.filter(pk=new.pk).update(trending=download_counts.download_weight())
    trend = lambda: [one["id"] for one in wire.get("/api/models?sort=trendingScore").json()]
    for method, order in (
        ("GET", ["acme/new", "acme/old"]),
        ("POST", ["acme/old", "acme/new"]),
        ("DELETE", ["acme/new", "acme/old"]),
    ):
        if method != "GET":
            assert wire.ask(method, "/api/models/acme/old/like", who="bob").status_code == 200
        assert trend() == order, method


def test_ids_of_any_case_are_liked(wire: Wire, cast):
    for type in ("model", "dataset", "space"):
        cast.repository("alice/MyRepo", type=type)
        at = f"/api/{type}s/ALICE/mYrEPO"
        assert wire.ask("POST", f"{at}/like", who="bob").json() == {"likes": 1}
        assert len(wire.get(f"{at}/likers", who="bob").json()) == 1


def test_what_is_held_back_is_in_no_overview_and_no_list_of_likes(wire: Wire, cast, visit):
    held = cast.repository("acme/held")
    wire.push("acme/held", {"a.txt": b"a"})
    assert wire.ask("POST", "/api/models/acme/held/like", who="carol").status_code == 200
    seen = lambda who: (
        wire.get("/api/organizations/acme/overview", who=who).json()["numModels"],
        len(wire.get("/api/users/carol/likes", who=who).json()),
        visit(who).get("/acme/held/likers").status_code,
    )
    assert seen("erin") == (1, 1, 200)
    assert withdrawals.hold(refs.resolve_ref(held, "refs/heads/main"), "A pickle with more than tensors.")
    assert (seen("erin"), seen("alice")) == ((0, 0, 404), (1, 1, 200))
