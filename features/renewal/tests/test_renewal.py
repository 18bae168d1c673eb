"""Proving again: what is out of date, how much of it an hour, and what the page says became of it."""

import io
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dovetail.adapters.results.report import Provenance, Report
from features.renewal import verbs
from hub.celery import RENEW_SECONDS
from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.models import Repository, Verdict
from registry.proof import reports
from registry.proof.verdicts import jobs, queue, requests, sweeps
from registry.proof.verified import regression_rule
from registry.repos import bases
from tests.api.conftest import BASE, judged, pushed
from tests.cast import PASSWORD, assemble
from workers import tasks
from workers.engines import capabilities, warm_engines
from workers.validation import pipeline

PEFT_21 = {"engines": {"e5": {"peft": "0.21.2", "torch": "2.13.0"}}, "checks": "aaa", "rules": "bbb"}
PEFT_22 = {"engines": {"e5": {"peft": "0.22.0", "torch": "2.13.0"}}, "checks": "aaa", "rules": "bbb"}
NOW = {reports.provenance_digest(Provenance.read(PEFT_22))}
BROKEN = [{"id": "load.error", "outcome": "failed", "message": "KeyError: 'lora_A'", "fix": "Save it again."}]


@pytest.fixture
def cast(db, settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = settings.POSTMAN = "tests.api.conftest.notify_nobody"
    return assemble()


def proven(cast, name, state="passed", using=PEFT_21, **more):
    """An adapter whose main was judged with these libraries."""
    repository = cast.repository(name, **more)
    judged(pushed(cast, repository), state, checks=BROKEN if state == "failed" else [], proven_with=using)
    return repository


def head(repository):
    return repository.refs.get(name="refs/heads/main").revision


def again(repository, state="failed", using=PEFT_22, checks=BROKEN):
    requests.request(head(repository), BASE, again=True, cause=Verdict.Cause.RENEWAL)
    return judged(head(repository), state, checks=checks if state == "failed" else [], proven_with=using)


def queued():
    return list(
        Verdict.objects.filter(state="queued", cause="renewal").values_list("revision__repository__name", flat=True)
    )


# --- what is out of date ---------------------------------------------------------------------------------------------
def test_what_was_proven_with_an_older_library_is_queued_once_and_the_old_verdict_stays(cast):
    old, new = proven(cast, "alice/old"), proven(cast, "alice/new", using=PEFT_22)
    assert verbs.renew(NOW, ["e5"], 10) == 1
    assert queued() == ["old"]
    assert verbs.renew(NOW, ["e5"], 10) == 0, "it is on its way"
    assert [row.number for row in head(old).verdicts.order_by("number")] == [1, 2]
    assert head(new).verdicts.count() == 1
    old.refresh_from_db()
    assert head(old).verdicts.get(number=1).state == "passed"


def test_a_verdict_that_does_not_say_what_it_was_proven_with_is_out_of_date(cast):
    proven(cast, "alice/ancient", using=None)
    assert verbs.renew(NOW, ["e5"], 10) == 1


def test_no_more_than_so_many_an_hour_the_oldest_first(cast):
    for number in range(5):
        proven(cast, f"alice/n{number}")
    Verdict.objects.filter(revision__repository__name="n3").update(finished_at=timezone.now() - timedelta(days=3))
    assert verbs.renew(NOW, ["e5"], 2) == 2
    assert "n3" in queued()
    assert verbs.renew(NOW, ["e5"], 2) == 0
    Verdict.objects.filter(cause="renewal").update(queued_at=timezone.now() - timedelta(hours=2))
    assert verbs.renew(NOW, ["e5"], 3) == 3
    assert verbs.renew(NOW, ["e5"], 0) == 0


def test_workers_with_time_to_spare_are_given_what_they_can_do_until_the_next_run(cast, monkeypatch):
    assert verbs.EVERY_SECONDS == RENEW_SECONDS
    for number in range(6):
        proven(cast, f"alice/n{number}")
    monkeypatch.setattr(verbs, "EVERY_SECONDS", 4.1)
    Verdict.objects.update(duration_ms=2_000)
    jobs.sign_of_life("w:1", "", queue.Offer(door="w", slots=2, bases={BASE: ""}, engines=("e5",)))
    mine = requests.request(pushed(cast, cast.repository("bob/fresh", by="bob"), by="bob"), BASE)
    assert verbs.renew(NOW, ["e5"], 1) == 3, "two processes do four in four seconds, and one of bob's waits"
    Verdict.objects.filter(pk=mine.pk).delete()
    assert verbs.renew(NOW, ["e5"], 1) == 1, "there is room for one more"
    assert verbs.renew(NOW, ["e5"], 1) == 0
    Verdict.objects.filter(state="queued").delete()
    assert verbs.renew(NOW, ["e5"], 0) == 0


@pytest.mark.parametrize(("busy", "room"), [(0, 600), (1_800, 450), (3_600, 300), (7_200, 0), (9_000, 0)])
def test_the_load_of_the_last_hour_is_expected_to_last(cast, busy, room):
    jobs.sign_of_life("w:1", "", queue.Offer(door="w", slots=2, bases={BASE: ""}, engines=("e5",)))
    for number in range(3):
        proven(cast, f"alice/n{number}")
    last, renewed, earlier = Verdict.objects.order_by("pk")
    earlier_at = timezone.now() - timedelta(minutes=61)
    Verdict.objects.filter(pk=earlier.pk).update(duration_ms=9_000_000, finished_at=earlier_at)
    Verdict.objects.filter(pk=renewed.pk).update(duration_ms=9_000_000, cause="renewal")
    Verdict.objects.filter(pk=last.pk).update(duration_ms=1_000 * busy)
    with patch.object(queue, "_a_second", lambda fleet: 1.0):
        assert queue.room(600) == pytest.approx(room, abs=1)


def test_without_workers_there_is_no_room(cast):
    proven(cast, "alice/one")
    assert queue.room(600) == 0


def test_old_versions_that_nothing_points_at_rest_in_peace(cast):
    repository = proven(cast, "alice/reviews")
    judged(pushed(cast, repository, files={"notes": b"newer"}), proven_with=PEFT_22)
    assert verbs.renew(NOW, ["e5"], 10) == 0


def test_a_worker_without_the_engine_leaves_it_to_one_that_has_it(cast):
    both = {**PEFT_21, "engines": {**PEFT_21["engines"], "e4": {"peft": "0.21.2"}}}
    proven(cast, "alice/both", using=both)
    assert verbs.renew(NOW, ["e5"], 10) == 0
    assert verbs.renew(NOW, ["e4", "e5"], 10) == 1
    assert verbs.renew(frozenset(), [], 10) == 0, "a machine without engines knows nothing"


def test_new_files_of_a_base_put_in_doubt_what_they_proved(cast):
    proven(cast, "alice/reviews", using=PEFT_22)
    base = bases.find_base(BASE)
    assert verbs.renew(NOW, ["e5"], 10) == 0
    assert sweeps.doubt(base) == 1
    assert verbs.renew(NOW, ["e5"], 10) == 1


def test_a_renewal_waits_behind_what_people_push(cast):
    for number in range(4):
        proven(cast, f"alice/n{number}")
    verbs.renew(NOW, ["e5"], 10)
    mine = requests.request(pushed(cast, cast.repository("bob/fresh", by="bob"), by="bob"), BASE)
    mine.refresh_from_db()
    turns = sorted(Verdict.objects.filter(cause="renewal", state="queued").values_list("turn", flat=True))
    assert mine.turn <= turns[1], "one renewal at most goes before it"


# --- with what -------------------------------------------------------------------------------------------------------
@pytest.mark.engine
def test_a_verdict_says_with_which_libraries_and_checks_it_was_proven(cast):
    here = pipeline.libraries("e5")
    assert {"peft", "transformers", "torch"} <= set(here)
    static = pipeline.provenance_of("static", ["e5"])
    assert static.engines == {}, "what was refused by its files owes nothing to an engine"
    run = pipeline.provenance_of("run", ["e5"])
    assert run.engines == {"e5": here}
    assert {reports.provenance_digest(static), reports.provenance_digest(run)} <= pipeline.current_provenances()
    assert reports.provenance_digest(replace(run, rules="other")) not in pipeline.current_provenances()


@pytest.mark.merge
def test_other_code_of_a_check_or_a_rule_is_another_digest(tmp_path, monkeypatch):
    def digests():
        pipeline._checks.cache_clear(), pipeline._rules.cache_clear()
        return pipeline._checks(), pipeline._rules()

    before = digests()
    for name in ("KNOWLEDGE", "RULES"):
        assert getattr(pipeline, name).is_dir()
    copy = tmp_path / "client" / "src" / "dovetail" / "adapters"
    (copy / "serving").mkdir(parents=True)
    (tmp_path / "workers" / "engine").mkdir(parents=True)
    monkeypatch.setattr(pipeline, "ROOT", tmp_path)
    monkeypatch.setattr(pipeline, "KNOWLEDGE", copy)
    monkeypatch.setattr(pipeline, "RULES", copy / "serving")
    empty = digests()
    (copy / "serving" / "vllm.py").write_text("RANK = 16")
    assert digests()[0] == empty[0]
    first = digests()
    assert first[1] != empty[1]
    (copy / "serving" / "vllm.py").write_text('"""What vLLM bears."""\n\nRANK = 16  # of old versions\n')
    assert digests() == first, "words and layout prove nothing"
    (copy / "serving" / "vllm.py").write_text("RANK = 32")
    assert digests()[1] != first[1]
    (copy / "licenses.json").write_text("{}")
    assert digests()[0] != empty[0]
    monkeypatch.undo()
    assert digests() == before


def test_no_machine_without_an_engine_renews_anything(cast, settings, tmp_path):
    settings.ENGINES = tmp_path / "none"
    proven(cast, "alice/old")
    tasks.renew()
    assert queued() == []
    assert capabilities.built()
    assert warm_engines.ENGINES


def test_the_command_queues_what_is_out_of_date_and_says_how_many(cast, monkeypatch):
    monkeypatch.setattr(pipeline, "current_provenances", lambda: frozenset(NOW))
    proven(cast, "alice/old"), proven(cast, "alice/new", using=PEFT_22)

    def said(*words):
        out = io.StringIO()
        call_command("revalidate", *words, stdout=out)
        return out.getvalue().strip()

    assert said("--outdated", "--dry-run") == "1 validations would be queued."
    assert said("--outdated", "--failed") == "Queued 0 validations."
    assert said("--outdated", "--base", "unsloth/all-MiniLM-L6-v2-bnb-4bit") == "Queued 1 validations."
    due = Verdict.objects.get(state="queued")
    assert (due.cause, due.owner) == ("renewal", None), "what an operator wants fills nobody's limit"


# --- what became of it -----------------------------------------------------------------------------------------------
def test_what_stopped_working_is_grouped_by_what_is_another_one_and_by_the_check(cast, settings):
    settings.MAX_ATTEMPTS = 1
    for number in range(3):
        again(proven(cast, f"alice/n{number}"))
    again(proven(cast, "alice/fit"), checks=[{"id": "fit.missing", "outcome": "failed", "message": "Two are missing."}])
    again(proven(cast, "alice/healed", "failed"), "passed")
    again(proven(cast, "alice/same"), "passed")
    again(proven(cast, "alice/unlucky"), "errored")
    found = {(one.turn, one.since, one.check): len(one.verdicts) for one in verbs.changes(policy.NOBODY)}
    assert found == {
        ("stopped", "peft 0.21.2 → 0.22.0", "load.error"): 3,
        ("stopped", "peft 0.21.2 → 0.22.0", "fit.missing"): 1,
        ("works", "peft 0.21.2 → 0.22.0", ""): 1,
        ("broke", "peft 0.21.2 → 0.22.0", ""): 1,
    }


def test_the_page_costs_the_same_however_many_changed(cast, django_assert_num_queries):
    again(proven(cast, "alice/n0"))
    assert verbs.changes(policy.NOBODY), "and site settings are read by now"
    with CaptureQueriesContext(connection) as one:
        verbs.changes(policy.NOBODY)
    for number in range(1, 6):
        again(proven(cast, f"alice/n{number}"))
    with django_assert_num_queries(len(one)):
        assert sum(len(group.verdicts) for group in verbs.changes(policy.NOBODY)) == 6


def test_strangers_do_not_learn_that_a_private_adapter_changed(cast):
    again(proven(cast, "acme/secret", private=True))
    assert verbs.changes(policy.NOBODY) == []
    assert verbs.changes(Caller(user=cast["carol"])) == []
    assert len(verbs.changes(cast.session("bob"))) == 1
    assert "secret" not in Client().get("/stats/changes").content.decode()


def test_other_checks_rules_and_bases_are_told_apart():
    before = {"proven_with": PEFT_21, "base": {"id": "a/b", "sha256": "1"}}
    now = {"proven_with": {**PEFT_21, "checks": "x", "rules": "y"}, "base": {"id": "a/b", "sha256": "2"}}
    old, new = Report.of_result(before, "passed"), Report.of_result(now, "passed")
    assert list(regression_rule.differences(old, new)) == [
        "other checks",
        "other rules of serving",
        "other files of a/b",
    ]
    assert list(regression_rule.differences(Report(state="passed"), new)) == []


def test_the_page_says_how_many_stopped_with_what_and_why(cast):
    for number in range(8):
        again(proven(cast, f"alice/n{number}"))
    client = Client()
    assert client.login(username="alice", password=PASSWORD)
    page = client.get("/stats/changes").content.decode()
    for expected in (
        "stopped working",
        "peft 0.21.2 → 0.22.0",
        "load.error",
        "KeyError",
        "2 more",
        "/docs/checks-engine#load-error",
    ):
        assert expected in page
    assert Repository.objects.count() == 8
    Verdict.objects.update(changed_from="")
    assert "No verdict has changed" in client.get("/stats/changes").content.decode()
