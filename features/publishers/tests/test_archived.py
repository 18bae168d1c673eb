"""Publishers of an archived repository stay, and those that waited for a name get what gets this name."""

import pytest
from django.test import Client

from features.publishers import verbs
from registry.kernel.errors import RepositoryArchived
from registry.models import Repository
from registry.people.tokens import id_tokens
from registry.publish import moves, repositories, retirement

CLAIMS = {"repository": ["acme/train"], "repository_owner_id": ["1"], "workflow_ref": ["acme/train/x.yml@main"]}


def waiting(cast, name: str):
    return verbs.trust_pending(name, id_tokens.GITHUB, CLAIMS, cast.session("alice"))


def test_a_repository_that_returns_under_another_name_gets_the_publishers_that_wait_for_it(cast):
    repository, alice = cast.repository("acme/reviews"), cast.session("alice")
    repositories.delete(repository, alice)
    publisher = waiting(cast, "acme/renewed")
    retirement.restore(repository.pk, alice, "renewed")
    assert list(Repository.objects.get(pk=repository.pk).publishers.all()) == [publisher]


def test_a_repository_that_moves_gets_the_publishers_that_wait_for_its_name(cast):
    repository, alice = cast.repository("acme/reviews"), cast.session("alice")
    publisher = waiting(cast, "acme/renewed")
    moves.move(repository, "acme/renewed", alice)
    assert list(Repository.objects.get(pk=repository.pk).publishers.all()) == [publisher]


PAGE = "/acme/reviews/settings/publishers"


def test_publishers_of_an_archived_repository_are_read_and_stay(cast):
    repository, alice = cast.repository("acme/reviews"), cast.session("alice")
    verbs.trust(repository, id_tokens.GITHUB, CLAIMS, alice)
    retirement.archive(repository, alice)
    archived = Repository.objects.get(pk=repository.pk)
    publisher = archived.publishers.get()
    for deed in (
        lambda: verbs.trust(archived, id_tokens.GITHUB, CLAIMS, alice),
        lambda: verbs.remove(archived, publisher.pk, alice),
        lambda: verbs.set_publishers_only(archived, True, alice),
    ):
        with pytest.raises(RepositoryArchived):
            deed()
    assert archived.publishers.get() == publisher
    for who, status in (("alice", 200), ("bob", 403), ("carol", 403), ("mona", 403)):
        client = Client()
        client.force_login(cast[who])
        answer = client.get(PAGE)
        assert answer.status_code == status, who
        if who == "alice":
            assert "Trust this job" not in answer.content.decode()
            assert "/remove" not in answer.content.decode()
