"""Searching, and the facts of one adapter."""

import json

from registry.models import Base
from tests.api.conftest import BASE, CONFIG, FILES, judged, pushed

LINE = {
    "id",
    "author",
    "private",
    "summary",
    "format",
    "kind",
    "base",
    "task",
    "license",
    "rank",
    "status",
    "size",
    "tags",
    "downloads",
    "gated",
    "likes",
    "created_at",
    "updated_at",
    "yanked",
    "verdict",
    "newest",
}


def test_a_search_finds_what_was_pushed(ask, repository):
    [found] = ask().get("/api/v1/adapters?q=good+reviews").json()["items"]
    assert set(found) == LINE
    assert (found["id"], found["kind"], found["base"], found["rank"]) == ("alice/reviews", "lora", BASE, 8)
    assert found["verdict"]["state"] == "queued"
    assert ask().get("/api/v1/adapters?q=nowhere").json() == {"items": [], "next": None}


def test_repeated_parameters_are_alternatives_and_different_ones_must_all_hold(ask, repository):
    assert len(ask().get("/api/v1/adapters?kind=lora&kind=ia3").json()["items"]) == 1
    assert len(ask().get("/api/v1/adapters?kind=lora&task=token-classification").json()["items"]) == 0
    assert len(ask().get("/api/v1/adapters?rank_min=8&rank_max=8&license=apache-2.0&author=ALICE").json()["items"]) == 1


def test_tags_and_languages_are_alternatives_too(ask, cast):
    for name, language in (("one", "de"), ("two", "fr"), ("three", "nl")):
        card = f"---\nlanguage: {language}\ntags: [{name}-tag]\n---\n".encode()
        pushed(cast, cast.repository(f"alice/{name}"), files={**FILES, "README.md": card})
    found = lambda query: {item["id"] for item in ask().get(f"/api/v1/adapters?{query}").json()["items"]}
    assert found("language=de&language=fr") == {"alice/one", "alice/two"}
    assert found("tag=one-tag&tag=two-tag") == {"alice/one", "alice/two"}
    assert found("tag=one-tag&language=fr") == set()


def test_where_only_the_verified_is_served_strangers_find_what_waits_as_well(ask, cast, settings):
    settings.FIRST_PULL_POLICY = "verified"
    judged(pushed(cast, cast.repository("acme/proven")))
    pushed(cast, cast.repository("acme/waiting"))
    judged(pushed(cast, cast.repository("acme/refuted")), "failed", checks=[{"id": "fit.shape", "outcome": "failed"}])
    found = lambda who: [item["id"] for item in ask(who).get("/api/v1/adapters").json()["items"]]
    assert {len(found(who)) for who in ("carol", "anonymous", "bob", "mona")} == {3}
    facets = ask().get("/api/v1/adapters?facets=1").json()["facets"]
    assert sum(row["count"] for row in facets["verdict"]) == 3
    assert [one["adapters"] for one in ask().get("/api/v1/bases").json()["items"]] == [3]


def test_facets_are_counted_when_asked_for(ask, repository):
    assert "facets" not in ask().get("/api/v1/adapters").json()
    facets = ask().get("/api/v1/adapters?facets=1&kind=ia3").json()["facets"]
    assert facets["kind"] == [{"value": "lora", "count": 1}]
    assert set(facets) == {"verdict", "base", "kind", "task", "license", "engine"}


def test_a_filter_that_is_not_known_is_refused_rather_than_ignored(ask, cast):
    answer = ask().get("/api/v1/adapters?colour=red")
    assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")
    assert "colour" in answer.json()["detail"]
    assert "kind" in answer.json()["fix"]
    for wrong in ("verdict=pased", "engine=vlm", "verdict=passed&verdict=pased"):
        answer = ask().get(f"/api/v1/adapters?{wrong}")
        assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")
        assert wrong.rpartition("=")[2] in answer.json()["detail"]


def test_pages_follow_each_other_without_a_gap(ask, cast):
    for number in range(5):
        cast.repository(f"alice/a{number}")
    seen, url = [], "/api/v1/adapters?limit=2&sort=created"
    while url:
        page = ask().get(url).json()
        seen += [item["id"] for item in page["items"]]
        url = page["next"]
        assert url is None or url.startswith("http://")
    assert seen == [f"alice/a{number}" for number in (4, 3, 2, 1, 0)]


def test_a_forged_cursor_is_refused(ask, repository):
    assert ask().get("/api/v1/adapters?cursor=abc").json()["code"] == "value-invalid"


def test_the_list_asks_the_database_as_often_for_one_as_for_thirty(ask, cast, django_assert_num_queries):
    value = cast.token("alice")
    counts = []
    for number in (1, 29):
        for one in range(number):
            judged(pushed(cast, cast.repository(f"alice/n{number}-{one}")))
        client = ask(value=value)
        client.get("/api/v1/adapters")  # warms the site settings and the token's last use
        with django_assert_num_queries(4) as queries:
            assert len(client.get("/api/v1/adapters?limit=100").json()["items"]) in (1, 30)
        counts.append(len(queries))
    assert len(set(counts)) == 1


def test_one_adapter_says_what_points_where(ask, cast, repository):
    first = repository.revisions.get(title="push")
    judged(first)
    second = pushed(cast, repository, title="better", files={"notes.txt": b"more"})
    judged(second, "failed", checks=[{"id": "fit.shape", "outcome": "failed"}])
    found = ask().get("/api/v1/adapters/Alice/REVIEWS").json()
    assert (found["latest"], found["verified"]) == (second.oid, first.oid)
    assert found["branches"] == {"main": second.oid}
    assert (found["verdict"]["state"], found["verdict"]["revision"]) == ("passed", first.oid)
    assert found["newest"] == {"revision": second.oid, "state": "failed", "checks": ["fit.shape"]}
    assert found["status"] == "active"


def test_what_nobody_may_see_looks_like_what_is_not_there(ask, repository, secret):
    there, missing = (ask("carol").get(f"/api/v1/adapters/acme/{name}") for name in ("secret", "nothing"))
    assert there.status_code == missing.status_code == 404
    assert there.content.replace(b"secret", b"nothing") == missing.content
    assert set(there.headers) == set(missing.headers)
    assert [item["id"] for item in ask("carol").get("/api/v1/adapters").json()["items"]] == ["alice/reviews"]
    assert len(ask("erin").get("/api/v1/adapters").json()["items"]) == 2


def test_an_unchanged_answer_is_not_sent_again(ask, repository):
    first = ask().get("/api/v1/adapters/alice/reviews")
    again = ask().get("/api/v1/adapters/alice/reviews", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first["Cache-Control"] == "private, no-cache"


def test_bases_say_who_names_them_and_what_is_on_the_shelf(ask, repository):
    [base] = ask().get("/api/v1/bases").json()["items"]
    pin = {"revision": None, "sha256": None, "size": None}
    assert base == {"id": BASE, "adapters": 1, "on_shelf": False, "license": "apache-2.0", **pin}


def test_adapters_are_found_by_what_they_change_and_by_the_revision_of_their_base(ask, cast, repository):
    config = {**CONFIG, "target_modules": ["q_proj", "v_proj"], "revision": "b" * 40}
    pushed(cast, cast.repository("alice/other"), files=FILES | {"adapter_config.json": json.dumps(config).encode()})

    def names(query):
        return [item["id"] for item in ask().get(f"/api/v1/adapters?{query}").json()["items"]]

    assert names("target=q_proj") == names("target=nothing&target=v_proj") == names(f"base_revision={'b' * 40}")
    assert names("target=q_proj") == ["alice/other"]
    base = Base.objects.create(id=BASE, revision="c4a57a7f" + "0" * 32, sha256="1" * 64)
    assert names(f"base_revision={base.revision}") == names("base_revision=c4a57a7f") == ["alice/reviews"]
    both = f"base_revision=c4a57a7f&base_revision={'b' * 40}"
    assert sorted(names(both)) == ["alice/other", "alice/reviews"]
    assert names("base_revision=c4a57a7e") == names("base_revision=c4a5") == names("base_revision=%25") == []
    assert names("target=proj") == names("target=q_proj%0Av_proj%0Ax") == names("base_revision=main") == []


def test_an_adapter_names_the_kinds_of_all_adapters_in_it(ask, cast, repository):
    assert ask().get("/api/v1/adapters/alice/reviews").json()["kinds"] == ["lora"]
    contents = [{"path": "a", "format": "peft", "kind": "ia3", "proven": True}]
    judged(repository.revisions.get(title="push"), contents=contents)
    assert ask().get("/api/v1/adapters/alice/reviews").json()["kinds"] == ["ia3", "lora"]
