"""A hub with history moves to the newest tables, and back where they were made; what its rows mean survives both."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now

from registry import verdicts
from registry.models import Adapter, Base, Revision, Verdict

OLD = [("registry", "0006_proofs")]  # the tables before there was a queue


def migrate(target: list[tuple[str, str]]) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(target)


@pytest.fixture
def newest(transactional_db):
    """What the code expects; the database is there again after the test, whatever became of it."""
    found = MigrationExecutor(connection).loader.graph.leaf_nodes()
    yield found
    migrate(found)


def test_what_waited_before_there_was_a_queue_has_its_turn_in_it(newest, cast, settings):
    settings.DOORBELL = "tests.api.conftest.deaf"
    Base.objects.create(id="tiny/bert", revision="1", sha256="0" * 64)
    made = []
    for number, base in enumerate(["tiny/bert", "nobody/knows", "tiny/bert", "tiny/bert"]):
        adapter = cast.adapter(f"alice/a{number}")
        Adapter.objects.filter(pk=adapter.pk).update(format="peft")
        revision = Revision.objects.create(adapter=adapter, oid=f"{number:040x}", title="push", author=cast["alice"])
        made.append(verdicts.request(revision, base, "peft"))
    Verdict.objects.filter(pk=made[0].pk).update(state="passed", finished_at=Now(), turn=None)
    migrate(OLD)
    migrate(newest)
    rows = [Verdict.objects.get(pk=row.pk) for row in made]
    assert [row.turn for row in rows] == [None, None, 1, 2]
    assert [row.route for row in rows] == ["", "", "tiny/bert", "tiny/bert"]
    assert {(row.owner, row.format) for row in rows[1:]} == {(cast["alice"].namespace, "peft")}
    claim = verdicts.claim_next("w", verdicts.Hands(frozenset({"tiny/bert"})))
    assert claim is not None
    assert claim.verdict.pk == made[2].pk
