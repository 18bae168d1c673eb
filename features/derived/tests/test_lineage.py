"""The lineage of an adapter: on its page and by REST, as far as the visitor finds it in lists."""

import re
from collections.abc import Callable

import pytest

from features.derived import lineage
from features.derived.models import DerivedSource, DerivedVersion
from registry.models import Repository, Revision
from tests import questions
from tests.api.conftest import BASE, FILES, pushed
from tests.cast import Cast

NAMES = {"README.md": b"---\nbase_model: alice/reviews\n---\n# Goes on from it\n"}
Derive = Callable[..., Revision]


@pytest.fixture
def derive(cast: Cast) -> Derive:
    """Return a function that writes the rows of a version of `name` as if the hub had made it of others."""

    def made(name: str, method: str, *sources: Revision, private: bool = False) -> Revision:
        known = Repository.objects.filter(name=name.partition("/")[2]).first()
        files = FILES | {"adapter_model.safetensors": name.encode(), "notes.txt": method.encode()}
        result = pushed(cast, known or cast.repository(name, private=private), files=files)
        row = DerivedVersion.objects.create(
            key=f"{name} {method}", repository=result.repository, ref=f"refs/heads/derived/{method}", method=method,
            by=cast["alice"], state="done", revision=result,
        )  # fmt: skip
        for position, source in enumerate(sources):
            DerivedSource.objects.create(
                derived=row, position=position, revision=source, name=str(source.repository), oid=source.oid
            )
        return result

    return made


@pytest.fixture
def family(cast: Cast, derive: Derive) -> Revision:
    """alice/reviews: a merge of three, with a form of its own, results, a copy, a card that names it."""
    first, second = (pushed(cast, cast.repository(f"alice/{name}"), files={"x.txt": b"x"}) for name in ("one", "two"))
    reviews = derive("alice/reviews", "ties", first, second, pushed(cast, cast.repository("acme/hidden", private=True)))
    derive("alice/reviews", "mlx", reviews)
    child = derive("alice/child", "linear", reviews)
    derive("alice/grandchild", "bf16", child)
    derive("acme/secret", "fp16", reviews, private=True)
    weights = {"adapter_model.safetensors": b"alice/reviews"}
    pushed(cast, cast.repository("alice/copy"), files=FILES | weights)
    pushed(cast, cast.repository("alice/next"), files=NAMES)
    return reviews


def linked(page: str, heading: str) -> list[str]:
    """Return where the section of this heading leads."""
    section = page.partition(f'id="{heading}"')[2].partition("</section>")[0]
    return re.findall(r'href="/([^"]*)"', section)


def test_the_page_and_rest_show_what_the_visitor_may_see_in_two_trees_and_two_lists(visit, family):
    page = visit().get("/alice/reviews/lineage").content.decode()
    base, *sources = linked(page, "made-from")
    assert (base, {*sources}) == (f"bases/{BASE}", {"alice/one", "alice/two"})
    form, *results = linked(page, "made-of-it")
    assert form.startswith("alice/reviews/commit/")
    assert results == ["alice/child", "alice/grandchild"]
    assert [link.partition("/commit/")[0] for link in linked(page, "copies")] == ["alice/copy"]
    assert linked(page, "named-by") == ["alice/next"]
    seen = visit("alice").get("/alice/reviews/lineage").content.decode()
    assert {"acme/secret", "alice/child"} <= set(linked(seen, "made-of-it"))
    assert "acme/hidden" in linked(seen, "made-from")
    assert linked(visit().get("/alice/next/lineage").content.decode(), "made-from") == [
        "alice/reviews",
        f"bases/{BASE}",
    ]
    assert "Nothing here is based on it yet" in visit().get("/alice/grandchild/lineage").content.decode()
    found = visit().get("/api/v1/adapters/alice/reviews/lineage").json()
    assert found["bases"] == [{"id": BASE, "named": BASE, "adapter": None}]
    assert {step["source"] for step in found["made_from"]} == {"alice/one", "alice/two"}
    assert found["made_of_it"][-1] == {"source": "alice/child", "result": "alice/grandchild", "method": "bf16"}
    assert [form["method"] for form in found["other_forms"]] == ["mlx"]
    assert [(copy["adapter"], copy["copy"], copy["original"]) for copy in found["copies"]] == [
        ("alice/copy", True, False)
    ]
    [original] = visit().get("/api/v1/adapters/alice/copy/lineage").json()["copies"]
    assert (original["adapter"], original["copy"], original["original"]) == ("alice/reviews", True, True)
    assert "the original: pushed here first" in visit().get("/alice/copy/lineage").content.decode()
    assert found["named_by"] == ["alice/next"]
    assert (found["made_from_left_out"], found["made_of_it_left_out"]) == (0, 0)


def test_held_back_versions_lead_nowhere_and_long_lists_say_how_many_more(visit, cast, derive, monkeypatch):
    monkeypatch.setattr(lineage, "MOST", 2)
    first = pushed(cast, cast.repository("alice/first"))
    for number in range(4):
        result = derive(f"alice/result-{number}", "linear", first)
    derive("alice/last", "bf16", result)
    with questions.at_most(29):
        page = visit().get("/alice/first/lineage").content.decode()
    assert linked(page, "made-of-it") == ["alice/result-3", "alice/last", "alice/result-2"]
    assert "2 more" in page
    Revision.objects.filter(repository__name__in=["result-3", "result-2"]).update(quarantined_at=first.created_at)
    page = visit().get("/alice/first/lineage").content.decode()
    assert linked(page, "made-of-it") == ["alice/result-1", "alice/result-0"]
