"""POST /lookup: revisions by the digest of a file or of its tensors, of what the caller may see and nothing else."""

import hashlib

import pytest

from registry.kernel import site_settings
from registry.models import TensorDigest
from registry.moderation import quarantine
from registry.proof.verified import withdrawals
from registry.publish import repositories
from tests.api.conftest import FILES, pushed

WEIGHTS = hashlib.sha256(FILES["adapter_model.safetensors"]).hexdigest()
TENSORS = "7" * 64


def places(client, **body):
    answer = client.post("/api/v1/lookup", body, "application/json")
    assert answer.status_code == 200, answer.content
    assert not answer.json()["truncated"]
    return {(item["adapter"], item["path"]) for item in answer.json()["items"]}


@pytest.fixture
def both(cast, repository, secret):
    TensorDigest.objects.filter(file=WEIGHTS).update(sha256=TENSORS, free_at=None)
    return cast


def test_the_caller_learns_of_what_they_see_alone(ask, both):
    public, private = ("alice/reviews", "adapter_model.safetensors"), ("acme/secret", "adapter_model.safetensors")
    for body in ({"sha256": [WEIGHTS.upper()]}, {"tensor_digest": [TENSORS]}):
        for who in ("anonymous", "carol", "mona"):
            assert places(ask(who), **body) == {public}, who
        assert places(ask("alice", "write"), **body) == {public, private}
        assert places(ask("bob", "fine-grained"), **body) == {public}
        assert places(ask("erin"), **body) == {public, private}
    assert places(ask("alice"), sha256=["0" * 64]) == places(ask("alice"), tensor_digest=["0" * 64]) == set()


def test_what_is_held_back_is_not_found_and_what_is_unproven_is(ask, both, repository):
    revision = repository.revisions.get(title="push")
    site_settings.change_setting("pull_policy", "verified", by=None)
    assert ("alice/reviews", "adapter_model.safetensors") in places(ask(), sha256=[WEIGHTS]), "its verdict is queued"
    assert places(ask("alice"), sha256=[WEIGHTS]) >= {("alice/reviews", "adapter_model.safetensors")}
    site_settings.change_setting("pull_policy", "open", by=None)
    quarantine.quarantine(repository, both.session("mona"), reason="It carries a pickle.", revision=revision)
    assert places(ask("alice", "read"), tensor_digest=[TENSORS]) == {("acme/secret", "adapter_model.safetensors")}
    assert places(ask(), sha256=[WEIGHTS]) == set()


def test_a_deleted_and_a_yanked_adapter(ask, both, repository, secret):
    withdrawals.yank(repository.revisions.get(title="push"), both.session("alice"), "Old.")
    assert places(ask(), sha256=[WEIGHTS]) == {("alice/reviews", "adapter_model.safetensors")}
    repositories.delete(repository, both.session("alice"))
    assert places(ask("alice"), sha256=[WEIGHTS]) == {("acme/secret", "adapter_model.safetensors")}


@pytest.mark.parametrize(
    "body",
    [{}, {"sha256": []}, {"sha256": ["x" * 64]}, {"sha256": [1]}, {"sha256": ["0" * 64] * 101},
     {"sha256": ["0" * 64], "tensor_digest": ["0" * 64]}],
)  # fmt: skip
def test_what_is_no_question_is_refused(ask, cast, body):
    answer = ask().post("/api/v1/lookup", body, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "value-invalid")


def test_the_number_of_queries_does_not_grow(ask, cast, repository, django_assert_num_queries):
    for number in range(5):
        pushed(cast, cast.repository(f"alice/copy-{number}"))
    with django_assert_num_queries(1):
        assert len(places(ask(), sha256=[WEIGHTS])) == 6
