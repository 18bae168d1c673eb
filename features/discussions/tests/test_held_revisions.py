"""Merges into a repository whose main is held back."""

import pytest

from features.discussions import pull_requests
from registry.models import Discussion, Repository
from registry.proof.verified import withdrawals
from registry.publish import push
from registry.publish.push import Deletion, Inline, Intent
from registry.repos import refs
from registry.repos.refs import MAIN
from tests.api.conftest import pushed
from tests.registry.test_held_revisions import is_listed

REASON = "A pickle with more than tensors."
HELD = "acme/held"


@pytest.fixture
def held(cast, settings, tmp_path):
    """acme/held, the only adapter here; main can be held back."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    repository = cast.repository(HELD)
    repository.head = pushed(cast, repository)
    Repository.objects.update(kind="lora", state="passed", outcome="passed")
    return repository


def proposed(cast, repository, *operations):
    """Return the open pull request of alice with these changes to main."""
    push.receive(Intent(repository, MAIN, cast.session("alice"), "a change", propose=True), list(operations))
    return Discussion.objects.get(repository=repository, is_pull_request=True)


def test_the_merge_of_a_pull_request_without_the_held_files_lists_it_again(cast, held):
    request = proposed(cast, held, Deletion("adapter_model.safetensors"))
    withdrawals.hold(held.head, REASON)
    assert not is_listed()
    pull_requests.merge(request, cast.session("alice"))
    assert is_listed()


def test_the_merge_of_a_pull_request_that_brings_nothing_new_leaves_it_held_back(cast, held):
    request = proposed(cast, held, Inline("README.md", b"# Other words\n"))
    held.head = pushed(cast, held, files={"README.md": b"# Other words\n"})
    withdrawals.hold(held.head, REASON)
    pull_requests.merge(request, cast.session("alice"))
    assert refs.resolve_ref(held, MAIN) == held.head
    assert not is_listed()
