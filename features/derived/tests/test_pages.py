"""The page of a version shows what it was made of, what was made of it, and forms for more; without JavaScript."""

import re

import pytest
from django.test import Client

from dovetail.adapters import convert, merge
from features.derived import jobs, pages, verbs
from features.derived.models import DerivedVersion
from features.derived.pages import merges
from tests.adapters import TINY_LLAMA, lora
from tests.api.conftest import pushed
from tests.cast import PASSWORD

FILES = lora(TINY_LLAMA, task="CAUSAL_LM")


@pytest.fixture
def revision(cast):
    return pushed(cast, cast.repository("alice/reviews"), files=FILES)


def test_each_form_and_method_of_the_library_has_its_words():
    assert pages.FORMS.keys() == {*convert.FORMATS, *convert.VARIANTS}
    assert {name for name, _ in merges.METHODS} == {*merge.METHODS}


def test_a_form_is_asked_for_on_the_page_and_shown_there_and_on_its_own(cast, revision):
    alice, carol = Client(), Client()
    assert alice.login(username="alice", password=PASSWORD)
    assert carol.login(username="carol", password=PASSWORD)
    page = f"/alice/reviews/commit/{revision.oid}"
    assert "Make another form" in alice.get(page).content.decode()
    assert "Make another form" not in Client().get(page).content.decode()
    refused = carol.post(f"{page}/derive", {"to": "mlx"})
    assert refused.status_code == 403
    assert alice.post(f"{page}/derive", {"to": "onnx"}).status_code == 400
    assert alice.post(f"{page}/derive", {"to": "mlx"})["Location"] == f"{page}#derived"
    assert '<span class="chip">mlx</span>' in alice.get(page).content.decode()
    assert "Other forms" not in Client().get(page).content.decode(), "what is not there yet is its writers' business"
    jobs.work()
    derived = DerivedVersion.objects.get().revision
    shown = Client().get(page).content.decode()
    assert f"/alice/reviews/commit/{derived.oid}" in shown
    own = Client().get(f"/alice/reviews/commit/{derived.oid}").content.decode()
    assert "nobody pushed its files" in own
    assert f'href="{page}"' in own
    row = verbs.request_conversion(revision, "gguf", cast.session("alice"))
    jobs.work()
    row.refresh_from_db()
    assert (row.state, row.reason[:30]) == ("refused", "gguf needs the base tiny/llama")
    assert row.reason[:30] in alice.get(page).content.decode()


def test_the_use_box_lists_the_forms_of_the_version_that_it_pulls(cast, revision):
    alice = Client()
    assert alice.login(username="alice", password=PASSWORD)
    panel = panel_of(alice, "/alice/reviews")
    assert f'action="/alice/reviews/commit/{revision.oid}/derive"' in panel
    offered = re.findall(r'<option value="(\w+)"', panel)
    assert offered == ["kohya", "diffusers", "mlx", "gguf", "bin", "fp16", "bf16", "slim"], "no peft, no safetensors"
    assert panel_of(Client(), "/alice/reviews") == "", "a stranger is offered nothing"
    alice.post(f"/alice/reviews/commit/{revision.oid}/derive", {"to": "mlx"})
    assert "queued" in panel_of(alice, "/alice/reviews")
    jobs.work()
    made = DerivedVersion.objects.get().revision
    for visitor in (alice, Client()):
        assert f'href="/alice/reviews/commit/{made.oid}">mlx</a>' in panel_of(visitor, "/alice/reviews")
    assert ">gguf<" not in panel_of(Client(), f"/alice/reviews/verdict/{made.oid}")


def panel_of(visitor: Client, page: str) -> str:
    """Return the panel of other forms in the box that shows how to use an adapter; "" if there is none."""
    page, _, rev = page.partition("/verdict/")
    html = visitor.get(f"{page}/use", {"tool": "forms", "version": rev}).content.decode()
    return html.partition('<div class="use-panel forms">')[2].partition("Pinned to")[0]


def row(number: int, adapter: str, weight: object = 1, revision: str = "") -> dict[str, object]:
    return {f"others-{number}-{key}": value for key, value in
            {"adapter": adapter, "revision": revision, "weight": weight}.items()}  # fmt: skip


def errors_of(page: str) -> dict[str, str]:
    """Return what stands beside each field."""
    pairs = re.findall(r'<span class="wrong" role="alert" id="([\w-]+)_error">(.*?)</span>', page, re.DOTALL)
    return {name.removeprefix("id_"): re.sub(r"<[^>]+>|\s+", " ", text).strip() for name, text in pairs}


def test_a_merge_is_asked_for_in_a_form_and_its_errors_stand_at_their_fields(cast, revision):
    cast.repository("alice/both")
    secret = cast.repository("bob/secret", by="bob", private=True)
    pushed(cast, secret, files=FILES, by="bob")
    two = pushed(cast, cast.repository("bob/two", by="bob"), files=lora(TINY_LLAMA, task="CAUSAL_LM", seed=2), by="bob")
    alice, page = Client(), f"/alice/reviews/commit/{revision.oid}/merge"
    assert "/login" in Client().get(page)["Location"]
    assert alice.login(username="alice", password=PASSWORD)
    assert f'href="{page}"' in panel_of(alice, "/alice/reviews")
    assert alice.get(page).content.decode().count('placeholder="acme/two"') == 2
    rows = {"others-TOTAL_FORMS": "2", "others-INITIAL_FORMS": "0"} | row(0, "bob/two", 0.5) | row(1, "")
    form = {"weight": "0.7", "method": "linear", "density": "1", "rank": "0", "seed": "0", "into": "alice/both"} | rows

    def refused(status: int = 400, **changes: object) -> dict[str, str]:
        answer = alice.post(page, form | {key.replace("__", "-"): value for key, value in changes.items()})
        assert answer.status_code == status
        return errors_of(answer.content.decode())

    more = alice.post(page, form | {"more": "1"})
    assert (more.status_code, more.content.decode().count('placeholder="acme/two"')) == (200, 4)
    assert 'value="bob/two"' in more.content.decode()
    hidden = refused(404, others__1__adapter="bob/secret")["others-1-adapter"]
    assert hidden.replace("bob/secret", "bob/none") == refused(404, others__1__adapter="bob/none")["others-1-adapter"]
    assert "others-0-revision" in refused(404, others__0__revision="v9")
    assert "other than 0" in refused(others__0__weight="0")["others-0-weight"]
    assert refused(others__0__weight="heavy") == {"others-0-weight": "Enter a number."}
    assert "other than 0" in refused(weight="5000")["weight"]
    assert "takes no density" in refused(density="0.5")["density"]
    assert "more than 0" in refused(density="0", method="ties")["density"]
    assert "Only svd takes a rank" in refused(rank="4")["rank"]
    assert "no method" in refused(method="sum")["method"]
    assert "A merge needs a target adapter" in refused(into="")["into"]
    assert "into" in refused(404, into="alice/none")
    assert "into" in refused(403, into="bob/two")
    assert refused(others__0__adapter="") == {}, "one adapter is no merge, which stands above the form"
    assert not DerivedVersion.objects.exists()

    assert alice.post(page, form)["Location"] == f"/alice/reviews/commit/{revision.oid}#derived"
    jobs.work()
    derived = DerivedVersion.objects.get()
    assert (derived.state, derived.repository.full_name, derived.method) == ("done", "alice/both", "linear")
    assert [(source.oid, source.weight) for source in derived.sources.all()] == [(revision.oid, 0.7), (two.oid, 0.5)]
    own = Client().get(f"/alice/both/commit/{derived.revision.oid}").content.decode()
    assert "weight 0.7" in own


def test_fields_within_fields_are_known_too_and_a_target_that_is_missing_is_told(cast, revision):
    alice, address = Client(), "/api/v1/adapters/alice/reviews/revisions/main/derive"
    assert alice.login(username="alice", password=PASSWORD)
    others = [{"adapter": "alice/worse", "revision": "main", "wieght": 2}]
    body = {"method": "ties", "into": "alice/reviews", "others": others}
    answer = alice.post(address, body, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")
    assert "'wieght' in 'others'" in answer.json()["detail"]
    answer = alice.post(address, {"to": "kohya", "into": "alice/new-one"}, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (404, "adapter-not-found")
    assert "hf repos create alice/new-one" in answer.json()["fix"]
