"""What somebody with bad intentions tries on the Hub's routes, each attempt a test that it gains him nothing."""

import json

import pytest

from registry import moderation
from registry.models import Ref, Token
from tests.hf.wire import Wire, file, header

NAME = "alice/reviews-lora"


@pytest.fixture
def repo(cast):
    return cast.adapter(NAME)


def code(response) -> str:
    return json.loads(response.content)["code"]


# --- what is proven stays proven -------------------------------------------------------------------------------------
@pytest.mark.parametrize("ref", ["refs/verified", "refs/tags/v1"])
def test_no_push_moves_what_only_verdicts_and_tags_say(wire: Wire, repo, ref):
    proven = repo.refs.get(name="refs/heads/main").revision
    Ref.objects.create(adapter=repo, name=ref, revision=proven)
    answer = wire.commit(NAME, header(), file("evil.txt"), rev=ref.replace("/", "%2F"))
    assert (answer.status_code, code(answer)) == (403, "ref-protected")
    assert repo.refs.get(name=ref).revision == proven


@pytest.mark.parametrize("ref", ["refs/verified", "refs/tags/v1"])
def test_a_proposal_on_top_of_them_is_a_ref_of_its_own(wire: Wire, repo, ref):
    proven = repo.refs.get(name="refs/heads/main").revision
    Ref.objects.create(adapter=repo, name=ref, revision=proven)
    path = f"/api/models/{NAME}/commit/{ref.replace('/', '%2F')}?create_pr=1"
    body = b"\n".join(json.dumps(line).encode() for line in (header(), file("fix.txt")))
    assert wire.ask("POST", path, body).status_code == 200
    assert repo.refs.get(name=ref).revision == proven
    assert repo.refs.filter(name="refs/pr/1").exists()


# --- rights that ended -----------------------------------------------------------------------------------------------
def test_an_upload_address_ends_with_the_token_that_asked_for_it(wire: Wire, repo):
    href = wire.offer(NAME, b"promised").json()["objects"][0]["actions"]["upload"]["href"]
    Token.objects.all().delete()
    answer = wire.put(href, b"promised")
    assert (answer.status_code, code(answer)) == (401, "token-invalid")
    assert not repo.possessions.filter(blob__size=len(b"promised")).exists()


def test_an_upload_address_ends_with_its_owners_account(wire: Wire, cast):
    cast.adapter("acme/shared", by="alice")
    href = wire.offer("acme/shared", b"promised", who="bob").json()["objects"][0]["actions"]["upload"]["href"]
    moderation.suspend(cast["bob"], cast.session("mona"), reason="Floods the hub.")
    answer = wire.put(href, b"promised")
    assert (answer.status_code, code(answer)) == (403, "upload-expired")
