"""Manifests for Kubernetes by REST: of one commit at this hub's address, for who may see it."""

import pytest
import yaml

from dovetail.serve.manifests import KINDS
from hub.about import PORT
from registry.proof.verdicts import requests
from tests.api.conftest import BASE, SERVING, judged
from tests.api.test_answers import described, faults

AT = "/api/v1/adapters/alice/reviews/revisions"
ROUTE = "adapters/{ns}/{name}/revisions/{rev}/manifests/{platform}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_names_the_commit_and_this_hub(ask, repository, kind):
    revision = repository.revisions.get(title="push")
    judged(revision, depth="run", serving=SERVING, base={"id": BASE, "revision": None, "sha256": None})
    answer = ask().get(f"{AT}/main/manifests/{kind}").json()
    assert faults(answer, described("GET", ROUTE, 200)) == []
    assert (answer["revision"], answer["kind"]) == (revision.oid, kind)
    *_, last = yaml.safe_load_all(answer["manifest"])
    assert last["metadata"]["annotations"] == {
        "dovetail/adapter": "alice/reviews",
        "dovetail/commit": revision.oid,
        "dovetail/endpoint": f"http://127.0.0.1:{PORT}",
    }


def test_what_cannot_be_served_or_is_no_platform_is_refused_in_words(ask, repository):
    judged(repository.revisions.get(title="push"), serving=[{**SERVING[0], "outcome": "refuses", "reason": "No DoRA."}])
    refused = ask().get(f"{AT}/main/manifests/kserve").json()
    assert (refused["status"], refused["code"]) == (400, "value-invalid")
    assert "No DoRA." in refused["detail"]
    assert "llm-d" in ask().get(f"{AT}/main/manifests/nomad").json()["fix"]


def test_a_manifest_is_given_by_the_finished_verdict_while_its_renewal_hangs(ask, repository):
    revision = repository.revisions.get(title="push")
    judged(revision, depth="run", serving=SERVING, base={"id": BASE, "revision": None, "sha256": None})
    requests.again(revision, None)
    assert "manifest" in ask().get(f"{AT}/main/manifests/kserve").json()


def test_the_evaluation_names_the_command_below_that_of_vllm_alone(ask, repository):
    other = SERVING[0] | {"engine": "sglang"}
    judged(repository.revisions.get(title="push"), depth="fit", serving=[*SERVING, other])
    commit = repository.refs.get(name="refs/heads/main").revision.oid
    text = ask().get("/alice/reviews/verdict/main").content.decode()
    assert text.count(f"dovetail info alice/reviews@{commit} --manifest kserve") == 1
