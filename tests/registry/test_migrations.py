"""A hub with history moves to the newest tables, and back where they were made; what its rows mean survives both."""

import hashlib

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now

from registry.bytes import intake
from registry.bytes.blobs import Digest
from registry.models import Adapter, Alert, Base, Landing, Revision, Verdict, XetFile
from registry.proof import verdicts
from registry.publish import discussions, push
from registry.publish.push import MAIN, Intent, Stored
from workers.landing import work

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


def test_files_that_came_whole_before_they_were_cut_wait_to_be(newest, cast, settings, tmp_path):
    settings.DOORBELL = "tests.api.conftest.deaf"
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    adapter, alice = cast.adapter("alice/old"), cast.session("alice")
    contents = {f"{number}.bin": b"%d" % number for number in range(2)}
    for path, content in contents.items():
        intake.keep(
            adapter, digest := Digest(hashlib.sha256(content).hexdigest(), 1), lambda content=content: [content]
        )
        push.receive(Intent(adapter, MAIN, alice, path), [Stored(path, digest.sha256)])
    work()
    whole, cut = sorted(hashlib.sha256(content).hexdigest() for content in contents.values())
    XetFile.objects.exclude(sha256=cut).delete()
    assert not Landing.objects.exists()
    migrate([("registry", "0013_alerts_of_people")])
    migrate(newest)
    assert list(Landing.objects.values_list("sha256", flat=True)) == [whole]
    work()
    assert not Landing.objects.exists()
    assert set(XetFile.objects.values_list("sha256", flat=True)) == {whole, cut}


def test_an_alert_of_old_times_says_of_which_adapter_it_is_and_on_the_way_back_only_those_stay(newest, cast, settings):
    settings.DOORBELL = "tests.api.conftest.deaf"
    adapter = cast.adapter("alice/reviews")
    revision = Revision.objects.create(adapter=adapter, oid="1" * 40, title="push", author=cast["alice"])
    verdict = verdicts.request(revision, "tiny/bert", "peft")
    Alert.objects.create(user=cast["alice"], adapter=adapter, verdict=verdict)
    discussions.start(adapter, "Which rank?", "", cast.session("carol"))
    migrate([("registry", "0012_events")])
    migrate(newest)
    [alert] = Alert.objects.all()
    assert (alert.adapter, alert.kind, alert.count, alert.verdict) == (adapter, "verdict", 1, verdict)
