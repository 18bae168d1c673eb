"""Releases on the website and by REST: pages, forms without JavaScript, the feed, and who may make them."""

import json

from features.releases.models import Release
from registry.moderation import quarantine
from registry.proof.verified import withdrawals
from tests.site.conftest import push_more
from tests.site.test_feeds import entries, texts

PAGE, REST = "/alice/reviews/releases", "/api/v1/adapters/alice/reviews/releases"
NOTES = "**Longer** training, see #1.\n\n<script>alert(1)</script>"
JSON = "application/json"


def text_of(answer) -> str:
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_a_release_is_previewed_made_edited_and_deleted_by_forms(cast, visit, reviews, patient):
    alice, given = visit("alice"), {"tag": "v1.2.0", "title": "The <first>", "notes": NOTES}
    assert "No release yet" in text_of(visit().get(PAGE))
    preview = text_of(alice.post(f"{PAGE}/new", given | {"preview": "yes"}))
    assert "<strong>Longer</strong>" in preview
    assert 'value="v1.2.0"' in preview, "what was typed is not lost"
    assert not Release.objects.exists()
    part = text_of(alice.post(f"{PAGE}/new", given | {"preview": "yes"}, headers={"HX-Request": "true"}))
    assert part.lstrip().startswith('<div id="preview"')
    assert alice.post(f"{PAGE}/new", given)["Location"] == f"{PAGE}/v1.2.0"
    for address in (PAGE, f"{PAGE}/v1.2.0", f"{PAGE}/latest"):
        page = text_of(visit().get(address))
        assert "<strong>Longer</strong>" in page
        assert "The &lt;first&gt;" in page
        assert "passed, 1 note" in page
        assert "alert(1)" not in page
        assert "/edit" not in page, "a visitor has no form"
    assert 'releases/v1.2.0">v1.2.0</a>, passed' in text_of(visit().get("/alice/reviews"))
    [entry] = entries(visit().get("/alice/reviews/releases.atom"))
    assert texts([entry], "title") == ["v1.2.0: The <first>"]
    assert texts([entry], "summary")[0].startswith("passed. **Longer**")
    assert alice.post(f"{PAGE}/v1.2.0/edit", {"title": "New", "notes": "", "prerelease": "on"}).status_code == 302
    page = text_of(visit().get(PAGE))
    assert "pre-release" in page
    assert "edited" in page
    assert visit().get(f"{PAGE}/latest").status_code == 404
    assert alice.post(f"{PAGE}/v1.2.0/delete", {"with_tag": "on"})["Location"] == PAGE
    assert "No release yet" in text_of(visit().get(PAGE))
    assert visit().get("/alice/reviews/tree/v1.2.0").status_code == 404


def test_a_refused_form_says_why_and_force_is_a_tick(cast, visit, reviews):
    alice = visit("alice")
    unproven = push_more(cast, reviews, **{"README.md": b"# Two\n"})
    for fields, status, sentence in (
        ({"tag": "latest"}, 400, "is not a semantic version"),
        ({"tag": "v1.0.0", "revision": "nothing"}, 404, "Invalid rev id"),
        ({"tag": "v1.0.0", "revision": unproven.oid}, 409, "has not passed"),
    ):
        refused = alice.post(f"{PAGE}/new", fields)
        assert (refused.status_code, sentence in refused.content.decode()) == (status, True), fields
    assert alice.post(f"{PAGE}/new", {"tag": "v1.0.0", "revision": "main", "force": "on"}).status_code == 302
    withdrawals.yank(unproven, cast.session("alice"), "Wrong labels.")
    page = text_of(visit().get(PAGE))
    assert "forced" in page
    assert '<bdi class="break">Wrong labels.</bdi>' in page
    assert "hf download" not in page
    used = text_of(visit().get(f"/alice/reviews/use?version={unproven.oid}"))
    assert 'which is yanked: <bdi class="break">Wrong labels.</bdi>' in " ".join(used.split())
    assert "Latest release" not in text_of(visit().get("/alice/reviews"))
    assert visit("carol").post(f"{PAGE}/new", {"tag": "v2.0.0"}).status_code == 403


def test_the_rest_makes_edits_lists_and_deletes(cast, visit, reviews):
    alice, anyone = visit("alice"), visit()
    made = alice.post(REST, {"tag": "v1.0.0", "notes": "x"}, JSON)
    assert made.status_code == 201
    assert made.json() | {"revision": "", "created_at": None} == {
        "tag": "v1.0.0", "title": "", "notes": "x", "revision": "", "state": "passed", "yanked": False,
        "prerelease": False, "latest": True, "forced": False, "created_by": "alice", "created_at": None,
        "edited_at": None,
    }  # fmt: skip
    assert alice.post(REST, {"tag": "v1.0.0"}, JSON).json()["code"] == "ref-exists"
    assert alice.post(REST, {"tag": "v1.1.0"}, JSON).status_code == 201
    push_more(cast, reviews, **{"README.md": b"# Two\n"})
    refused = alice.post(REST, {"tag": "v1.2.0", "revision": "main"}, JSON)
    assert (refused.status_code, refused.json()["code"]) == (409, "release-refused")
    first = anyone.get(f"{REST}?limit=1").json()
    assert [row["tag"] for row in first["items"] + anyone.get(first["next"]).json()["items"]] == ["v1.1.0", "v1.0.0"]
    assert anyone.get(f"{REST}/latest").json()["tag"] == "v1.1.0"
    assert alice.patch(f"{REST}/v1.0.0", {"title": "One"}, JSON).json()["title"] == "One"
    assert anyone.get("/api/models/alice/reviews/revision/v1.0.0").json()["sha"] == made.json()["revision"]
    tags = anyone.get("/api/models/alice/reviews/refs").json()["tags"]
    assert {tag["name"] for tag in tags} == {"v1.0.0", "v1.1.0"}
    bearer = {"authorization": f"Bearer {cast.token('alice')}"}
    kept = anyone.delete("/api/models/alice/reviews/tag/v1.0.0", headers=bearer)
    assert kept.status_code == 403, "a tag stays while its release does"
    assert alice.delete(f"{REST}/v1.0.0?keep_tag=false").status_code == 204
    gone = anyone.get(f"{REST}/v1.0.0")
    assert (gone.status_code, gone.json()["code"]) == (404, "release-not-found")


def test_the_roads_of_a_quarantined_adapter_tell_its_writers_why_and_are_unknown_to_strangers(cast, visit, reviews):
    quarantine.quarantine(reviews, cast.session("mona"), reason="It phones home.")
    roads = [
        ("POST", "", {"tag": "v1.0.0"}), ("PATCH", "/v1.0.0", {"title": "x"}), ("DELETE", "/v1.0.0", {}),
        ("GET", "", {}), ("GET", "/v1.0.0", {}),
    ]  # fmt: skip
    for method, path, body in roads:
        refused = visit("alice").generic(method, REST + path, json.dumps(body), JSON)
        if method != "GET":
            assert (refused.status_code, refused.json()["code"]) == (403, "adapter-quarantined"), (method, path)
            assert "It phones home." in refused.json()["detail"]
        else:
            assert refused.status_code in {200, 403}
        for who in ("anonymous", "carol", "mona"):
            held, never = (
                visit(who).generic(method, address, json.dumps(body), JSON)
                for address in (REST + path, REST.replace("reviews", "never") + path)
            )
            assert held.status_code in {401, 404}, (who, method, path)
            assert held.content.replace(b"reviews", b"never") == never.content.replace(b"reviews", b"never")
