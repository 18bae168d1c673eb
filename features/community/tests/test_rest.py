"""Likes, follows and profiles over REST."""

URL = "/api/v1"


def test_a_like_is_given_counted_listed_and_taken_back(ask_json, cast):
    repository = cast.repository("alice/liked")
    bob, here = ask_json("bob", "write"), f"{URL}/adapters/alice/liked"
    for _ in range(2):
        assert bob.put(f"{here}/like").json() == {"adapter": "alice/liked", "liked": True, "likes": 1}
    assert bob.get(f"{here}/like").json()["liked"]
    assert not ask_json("carol").get(f"{here}/like").json()["liked"]
    assert [row["name"] for row in ask_json("anonymous").get(f"{here}/likers").json()["items"]] == ["bob"]
    assert [row["name"] for row in bob.get(f"{URL}/me/likes").json()["items"]] == ["alice/liked"]
    type(repository).objects.filter(pk=repository.pk).update(private=True)
    assert bob.get(f"{URL}/me/likes").json()["items"] == []
    assert bob.delete(f"{here}/like").status_code == 404
    type(repository).objects.filter(pk=repository.pk).update(private=False)
    assert bob.delete(f"{here}/like").json() == {"adapter": "alice/liked", "liked": False, "likes": 0}


def test_people_and_organisations_are_followed(ask_json, cast):
    bob = ask_json("bob", "write")
    for name in ("alice", "ACME"):
        assert bob.put(f"{URL}/me/following/{name}").json() == {"name": name.lower(), "following": True}
    assert [row["name"] for row in bob.get(f"{URL}/me/following").json()["items"]] == ["acme", "alice"]
    assert bob.delete(f"{URL}/me/following/alice").json() == {"name": "alice", "following": False}
    assert not bob.get(f"{URL}/me/following/alice").json()["following"]
    assert bob.put(f"{URL}/me/following/bob").json()["code"] == "value-invalid"
    assert bob.put(f"{URL}/me/following/nobody-here").json()["code"] == "namespace-not-found"
    assert ask_json("bob", "read").put(f"{URL}/me/following/carol").status_code == 403


def test_a_profile_is_changed_in_parts(ask_json, cast):
    alice = ask_json("alice", "write")
    changed = alice.patch(f"{URL}/me/profile", {"bio": "Adapters", "links": ["https://example.org"]}).json()
    assert (changed["name"], changed["bio"], changed["links"]) == ("alice", "Adapters", ["https://example.org"])
    assert alice.patch(f"{URL}/me/profile", {"full_name": "A. L."}).json() == changed | {"full_name": "A. L."}
    refused = alice.patch(f"{URL}/me/profile", {"bio": "x", "links": ["http://example.org"]}).json()
    assert (refused["code"], refused["field"]) == ("value-invalid", "links")
    assert ask_json("alice", "read").patch(f"{URL}/me/profile", {"bio": "x"}).status_code == 403
    assert alice.get(f"{URL}/me/profile").json()["bio"] == "Adapters"
