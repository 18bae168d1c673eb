"""An archived repository is read by those who read it before, its administrators included, and changed by nobody."""

import json

import pytest
from django.test import Client

from registry.bytes import intake
from registry.kernel.errors import RepositoryArchived
from registry.models import AccessRequest, Repository
from registry.people import gates, name_rules
from registry.publish import push, repositories, retirement
from registry.repos import refs

OWNERS = ("/acme/reviews/access", "/acme/reviews/settings",
          "/api/models/acme/reviews/user-access-request/pending")  # fmt: skip
WRITERS = ("/api/models/acme/reviews/lfs-files",)


@pytest.fixture
def archived(cast, settings, tmp_path) -> Repository:
    """acme/reviews behind a manual gate, with a request of carol, archived."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    repository, alice = cast.repository("acme/reviews"), cast.session("alice")
    [weights] = intake.receive_inline(repository, b"weights")
    push.receive(
        push.Intent(repository, refs.MAIN, alice, title="Files"),
        [push.Inline("README.md", b"# Reviews"), push.Stored("adapter_model.safetensors", weights.sha256)],
    )
    gates.set_gate(repository, "manual", alice)
    gates.request_access(repository, cast.session("carol"), "For a study.")
    retirement.archive(repository, alice)
    return Repository.objects.get(pk=repository.pk)


def page(cast, who: str, path: str) -> tuple[int, str]:
    client = Client()
    if path.startswith("/api/"):
        answer = client.get(path, headers={"authorization": f"Bearer {cast.token(who)}"})
    else:
        client.force_login(cast[who])
        answer = client.get(path)
    return answer.status_code, answer.content.decode()


@pytest.mark.parametrize("path", OWNERS)
def test_its_administrators_read_what_they_read_before(cast, archived, path):
    assert page(cast, "alice", path)[0] == 200
    for who in ("bob", "carol", "mona"):
        assert page(cast, who, path)[0] == 403, who


@pytest.mark.parametrize("path", WRITERS)
def test_who_pushed_there_reads_what_takes_room(cast, archived, path):
    status, text = page(cast, "bob", path)
    assert (status, [row["filename"] for row in json.loads(text)]) == (200, ["adapter_model.safetensors"])
    assert page(cast, "erin", path)[0] == 403


def test_no_page_offers_a_change_that_would_be_refused(cast, archived):
    assert "A gate" not in page(cast, "alice", "/acme/reviews/access")[1]
    assert "/access/gate" not in page(cast, "alice", "/acme/reviews/access")[1]


def test_people_ask_for_access_and_its_administrators_answer(cast, archived):
    alice, dave = cast.session("alice"), cast["dave"]
    row = gates.decide_request(archived, "accepted", alice, username="carol")
    assert row.status == AccessRequest.Status.ACCEPTED
    headers = {"authorization": f"Bearer {cast.token('carol')}"}
    assert Client().head("/acme/reviews/resolve/main/README.md", headers=headers).status_code == 200
    outsider = cast.session("mona")
    assert gates.request_access(archived, outsider).status == AccessRequest.Status.PENDING
    assert gates.grant_access(archived, dave.username, alice).status == AccessRequest.Status.ACCEPTED


def test_its_gate_stays(cast, archived):
    with pytest.raises(RepositoryArchived):
        gates.set_gate(archived, "", cast.session("alice"))
    assert archived.gated == "manual"


# --- names that are well-known ----------------------------------------------------------------------------------------


def test_downloads_of_what_lies_in_the_bin_make_no_name_well_known(cast):
    repository = cast.repository("acme/reviews")
    Repository.objects.filter(pk=repository.pk).update(downloads=1000)
    name_rules.forget_known()
    assert name_rules.like_namespace("acmme") is not None
    repositories.delete(repository, cast.session("alice"))
    name_rules.forget_known()
    assert name_rules.like_namespace("acmme") is None
