"""Collections over REST: each act of the website, who may do it, and who sees what."""

URL = "/api/v1/collections"


def test_a_collection_is_created_filled_ordered_changed_and_deleted(ask_json, cast):
    for name in ("alice/reviews", "alice/tone"):
        cast.repository(name)
    alice = ask_json("alice", "write")
    made = alice.post(URL, {"title": "Sentiment", "description": "What we serve"})
    assert made.status_code == 201
    here = f"{URL}/alice/{made.json()['slug']}"
    alice.post(f"{here}/items", {"type": "model", "name": "alice/reviews", "note": "Our best"})
    filled = alice.post(f"{here}/items", {"type": "model", "name": "alice/tone"}).json()
    assert [(item["name"], item["note"]) for item in filled["items"]] == [
        ("alice/reviews", "Our best"),
        ("alice/tone", ""),
    ]
    tone = filled["items"][1]["id"]
    ordered = alice.patch(f"{here}/items/{tone}", {"position": 0, "note": "New"}).json()
    assert [(item["name"], item["note"]) for item in ordered["items"]] == [
        ("alice/tone", "New"),
        ("alice/reviews", "Our best"),
    ]
    assert alice.delete(f"{here}/items/{tone}").status_code == 204
    assert alice.delete(f"{here}/items/{tone}").json()["code"] == "item-not-found"
    changed = alice.patch(here, {"title": "Tone", "theme": "blue"}).json()
    assert (changed["title"], changed["description"], changed["theme"]) == ("Tone", "What we serve", "blue")
    assert changed["slug"].startswith("tone-")
    assert ask_json("anonymous").get(here).json() == changed
    twice = alice.post(f"{here}/items", {"type": "model", "name": "alice/reviews"})
    assert (twice.status_code, twice.json()["code"]) == (409, "item-exists")
    nested = {"type": "collection", "name": f"alice/{made.json()['slug']}"}
    assert alice.post(f"{here}/items", nested).json()["code"] == "value-invalid"
    assert alice.delete(here).status_code == 204
    assert alice.get(here).json()["code"] == "collection-not-found"


def test_lists_lead_on_and_show_each_caller_what_they_see(ask_json, cast):
    alice = ask_json("alice", "write")
    for number in range(3):
        alice.post(URL, {"owner": "acme", "title": f"Number {number}", "private": number == 1})
    first = ask_json("bob").get(f"{URL}?owner=acme&limit=2").json()
    rest = ask_json("bob").get(first["next"]).json()
    assert [row["title"] for row in first["items"] + rest["items"]] == ["Number 2", "Number 1", "Number 0"]
    assert [row["title"] for row in ask_json("carol").get(f"{URL}?owner=acme").json()["items"]] == [
        "Number 2",
        "Number 0",
    ]


def test_who_may_not_write_there_changes_nothing(ask_json, cast):
    cast.repository("alice/reviews")
    made = ask_json("alice", "write").post(URL, {"owner": "acme", "title": "Ours"}).json()
    here, before = f"{URL}/acme/{made['slug']}", ask_json("alice").get(URL).json()
    item = {"type": "model", "name": "alice/reviews"}
    for who, token, status in (
        ("carol", "write", 403),
        ("erin", "write", 403),
        ("alice", "read", 403),
        ("anonymous", "", 401),
    ):
        asking = ask_json(who, token)
        answers = [asking.patch(here, {"title": "Theirs"}), asking.delete(here), asking.post(f"{here}/items", item)]
        answers += [asking.post(URL, {"owner": "acme", "title": "Theirs"})]
        assert [answer.status_code for answer in answers] == [status] * 4, who
    assert ask_json("alice").get(URL).json() == before
