"""A withdrawal and a worker at once."""

import threading

import pytest
from django.db import transaction

from features.plane.models import PlaneRequest
from registry.kernel import outbox
from registry.models import OutboxEvent, Repository
from registry.publish import repositories
from registry.talk import dispatch
from tests.registry.test_races import wait_for_a_lock_that_is_not_granted
from tests.together import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_withdrawal_and_a_worker_with_an_event_of_the_same_repository_do_not_wait_for_each_other(cast, settings):
    settings.PLANE_URL, settings.DOORBELL = "http://127.0.0.1:9", "tests.registry.test_upkeep.notify"
    repository = cast.repository("acme/adapter")
    settings.OUTBOX_DOORBELL = "tests.api.conftest.notify_nobody"  # the next event waits for the worker
    with transaction.atomic():
        outbox.record(outbox.Kind.RESTORED, repository, cast["alice"])
    results: list[object] = []
    worker = threading.Thread(target=lambda: results.extend(at_once(dispatch.run)))
    with transaction.atomic():
        Repository.objects.select_for_update().get(pk=repository.pk)
        worker.start()
        wait_for_a_lock_that_is_not_granted()  # of the worker, for the repository
        repositories.set_private(repository, True, cast.session("alice"))
    worker.join()
    assert results[0], "the worker handled the events"
    assert not OutboxEvent.objects.filter(attempts__gt=0).exists(), "at once"
    assert PlaneRequest.objects.filter(name="acme/adapter", withdraws=True).exists()
