"""Tries by workers: their turn among validations, an answer of a real engine, and their numbers."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from features.tries import jobs, verbs
from features.tries.models import Tryout
from registry.models import Verdict
from registry.proof.verdicts.jobs import record, sign_of_life
from tests import adapters
from tests.registry.test_gauges import number, waiting  # noqa: F401 - a fixture
from tests.workers.conftest import BASE, _hub, engine  # noqa: F401 - fixtures
from tests.workers.test_order import _bases, wanted  # noqa: F401 - fixtures
from tests.workers.test_real_engine import bert, judged, shelves  # noqa: F401 - fixtures
from tests.workers.test_verdicts import PASSED
from workers import loop
from workers.engines import capabilities, warm_engines
from workers.loop import WorkLoop
from workers.validation import pipeline

GOOD = "The film was good, and Anna liked it."


def tried(revision, by, *texts: str) -> Tryout:
    """Ask for a try, and let the loop of a worker do what waits."""
    text, other = (*texts, "")[:2]
    sign_of_life(capabilities.name(), "", capabilities.offer("door", 1))
    row = verbs.request(revision, text, other, verbs.NEW_TOKENS, verbs.Asker(by))
    assert WorkLoop(jobs.JOBS.short).step()
    return verbs.find(revision, row.key, by)


@pytest.mark.engine
@pytest.mark.django_db(transaction=True)
def test_base_and_adapter_answer_a_text_side_by_side(bert, judged, cast, caplog):
    alice = cast.session("alice")
    found = judged(adapters.lora(seed=20) | {"README.md": adapters.card(label_names=["bad", "good"])})
    row = tried(found.revision, alice, GOOD)
    assert (row.state, row.reason) == ("done", "")
    sides = [{share["label"]: share["value"] for share in row.answer[side]["labels"]} for side in ("base", "adapter")]
    assert [sum(side.values()) for side in sides] == pytest.approx([1, 1], abs=1e-4)
    assert sides[0].keys() == {"bad", "good"}
    assert sides[0] != sides[1]
    vectors = judged(adapters.lora(task="FEATURE_EXTRACTION", seed=21)).revision
    row = tried(vectors, alice, GOOD, "A bad film.")
    assert row.answer["base"]["similarity"] != row.answer["adapter"]["similarity"]
    assert tried(vectors, alice, GOOD).answer["moved"] < 1
    assert GOOD not in caplog.text


def test_tries_get_a_fifth_of_the_time_while_validations_wait_and_all_of_it_afterwards(wanted, engine, monkeypatch):
    """Each validation and each try takes a second of a clock that nothing else moves."""
    clock, done = [100.0], []

    def worked(kind: str, end: Callable[..., object], *arguments: object) -> None:
        end(*arguments)
        clock[0] += 1
        done.append(kind)

    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(capabilities, "here", lambda: {BASE: ""})
    monkeypatch.setattr(capabilities, "_engines", lambda: ("e5",))
    monkeypatch.setattr(warm_engines.Engines, "ready", [("e5", BASE.lower())])
    monkeypatch.setattr(pipeline, "validate", lambda claim: worked("validation", record, claim, PASSED, 1))
    monkeypatch.setattr(jobs, "answer", lambda claim: worked("try", verbs.refuse, claim, "no"))
    revisions = [wanted().revision for _ in range(8)]
    rows = [Tryout(key=f"{number:032x}", revision=revision, by=revision.author, text="a", new_tokens=1,
                   route=BASE.lower(), engine="e5") for number, revision in enumerate(revisions[:5])]  # fmt: skip
    Tryout.objects.bulk_create(rows)
    work = WorkLoop(jobs.JOBS.short)
    while len(done) < 13 and work.step():
        pass
    assert done == ["try", *["validation"] * 4, "try", *["validation"] * 4, "try", "try", "try"]


def test_tries_are_counted_by_their_outcome_and_timed(waiting: Verdict) -> None:
    asked = timezone.now() - timedelta(minutes=5)
    started, ended = (asked + timedelta(seconds=seconds) for seconds in (2, 5))
    of_all = {"revision": waiting.revision, "new_tokens": 1, "route": "org/base", "engine": "e5", "asked_at": asked}
    Tryout.objects.create(key="a", state="done", started_at=started, finished_at=ended, **of_all)
    Tryout.objects.create(key="b", state="expired", finished_at=ended, **of_all)
    found = [number("dovetail_hour_tries", f'{{state="{state}"}}') for state in ("done", "expired", "failed")]
    assert found == [1, 1, 0]
    assert [number("dovetail_hour_try_mean_seconds", f'{{part="{part}"}}') for part in ("wait", "work")] == [2, 3]
