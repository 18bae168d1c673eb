"""The page of a version shows what it was made of, what was made of it, and a form for more; without JavaScript."""

import pytest
from django.test import Client

from registry.models import DerivedVersion
from registry.publish import derived_versions
from tests.adapters import TINY_LLAMA, lora
from tests.api.conftest import pushed
from tests.cast import PASSWORD
from workers import derived_versions as making

FILES = lora(TINY_LLAMA, task="CAUSAL_LM")


@pytest.fixture
def revision(cast):
    return pushed(cast, cast.repository("alice/reviews"), files=FILES)


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
    assert alice.post(f"{page}/derive", {"to": "mlx"})["Location"] == page
    assert '<span class="chip">mlx</span>' in alice.get(page).content.decode()
    assert "Other forms" not in Client().get(page).content.decode(), "what is not there yet is its writers' business"
    making.work()
    derived = DerivedVersion.objects.get().revision
    shown = Client().get(page).content.decode()
    assert f"/alice/reviews/commit/{derived.oid}" in shown
    own = Client().get(f"/alice/reviews/commit/{derived.oid}").content.decode()
    assert "nobody pushed its files" in own
    assert f'href="{page}"' in own
    row = derived_versions.request_conversion(revision, "gguf", cast.session("alice"))
    making.work()
    row.refresh_from_db()
    assert (row.state, row.reason[:30]) == ("refused", "gguf needs the base tiny/llama")
    assert row.reason[:30] in alice.get(page).content.decode()
