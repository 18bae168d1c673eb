"""An archived repository is read by those who read it before, its administrators included, and changed by nobody."""

import json

import pytest
from django.test import Client

from registry.bytes import intake
from registry.kernel.errors import RepositoryArchived
from registry.models import AccessRequest, Repository
from registry.people import gates, known_names
from registry.people.tokens import ci_systems, publishers
from registry.publish import moves, push, repositories
from registry.publish.retention import restoring, retiring
from registry.repos import refs

CLAIMS = {"repository": ["acme/train"], "repository_owner_id": ["1"], "workflow_ref": ["acme/train/x.yml@main"]}
OWNERS = ("/acme/reviews/access", "/acme/reviews/settings", "/acme/reviews/settings/activity",
          "/acme/reviews/settings/publishers", "/api/models/acme/reviews/user-access-request/pending")  # fmt: skip
WRITERS = ("/api/models/acme/reviews/lfs-files",)


@pytest.fixture
def archived(cast, settings, tmp_path) -> Repository:
    """acme/reviews behind a manual gate, with a publisher and a request of carol, archived."""
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
    publishers.trust(repository, ci_systems.GITHUB, CLAIMS, alice)
    retiring.archive(repository, alice)
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
    text = page(cast, "alice", "/acme/reviews/settings/publishers")[1]
    assert "Trust this job" not in text
    assert "/remove" not in text


def test_people_ask_for_access_and_its_administrators_answer(cast, archived):
    alice, dave = cast.session("alice"), cast["dave"]
    row = gates.decide_request(archived, "accepted", alice, username="carol")
    assert row.status == AccessRequest.Status.ACCEPTED
    headers = {"authorization": f"Bearer {cast.token('carol')}"}
    assert Client().head("/acme/reviews/resolve/main/README.md", headers=headers).status_code == 200
    outsider = cast.session("mona")
    assert gates.request_access(archived, outsider).status == AccessRequest.Status.PENDING
    assert gates.grant_access(archived, dave.username, alice).status == AccessRequest.Status.ACCEPTED


def test_its_gate_and_its_publishers_stay(cast, archived):
    alice = cast.session("alice")
    publisher = archived.publishers.get()
    for deed in (
        lambda: gates.set_gate(archived, "", alice),
        lambda: publishers.trust(archived, ci_systems.GITHUB, CLAIMS, alice),
        lambda: publishers.remove(archived, publisher.pk, alice),
        lambda: publishers.set_publishers_only(archived, True, alice),
    ):
        with pytest.raises(RepositoryArchived):
            deed()
    assert (archived.publishers.get(), archived.gated) == (publisher, "manual")


# --- publishers that waited for a name; names that are well-known -----------------------------------------------------
def waiting(cast, name: str):
    return publishers.trust_pending(name, ci_systems.GITHUB, CLAIMS, cast.session("alice"))


def test_a_repository_that_returns_under_another_name_gets_the_publishers_that_wait_for_it(cast):
    repository, alice = cast.repository("acme/reviews"), cast.session("alice")
    repositories.delete(repository, alice)
    publisher = waiting(cast, "acme/renewed")
    restoring.restore(repository.pk, alice, "renewed")
    assert list(Repository.objects.get(pk=repository.pk).publishers.all()) == [publisher]


def test_a_repository_that_moves_gets_the_publishers_that_wait_for_its_name(cast):
    repository, alice = cast.repository("acme/reviews"), cast.session("alice")
    publisher = waiting(cast, "acme/renewed")
    moves.move(repository, "acme/renewed", alice)
    assert list(Repository.objects.get(pk=repository.pk).publishers.all()) == [publisher]


def test_downloads_of_what_lies_in_the_bin_make_no_name_well_known(cast):
    repository = cast.repository("acme/reviews")
    Repository.objects.filter(pk=repository.pk).update(downloads=1000)
    known_names.clear_cache()
    assert known_names.like_namespace("acmme") is not None
    repositories.delete(repository, cast.session("alice"))
    known_names.clear_cache()
    assert known_names.like_namespace("acmme") is None
