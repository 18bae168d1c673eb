"""One adapter on several engines: who decides, what the row of each says, and what waits for an engine not built."""

import json
import time

import pytest

from registry.models import Base, Comparison, Verdict
from registry.proof.verdicts import jobs, queue, sweeps
from tests import adapters, once
from tests.workers.test_real_engine import bert, failed, judged, once_more, shelves  # noqa: F401 - fixtures among them
from workers.engines import capabilities, warm_engines
from workers.loop import WorkLoop

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]

LIBRARY = {"config": {"architecture": "lora"}, "model_class": "BertAdapterModel", "model_name": "tiny/bert"}


def rows(verdict: Verdict) -> list[tuple[str, str, str | None]]:
    return [(row["name"], row["state"], row.get("check")) for row in verdict.result["engines"]]


@pytest.fixture(scope="module")
def bottleneck(shelves) -> adapters.Files:
    """A trained adapter of the adapters library with its head and its rows."""
    folder = once.trained(capabilities.interpreter("e4"), shelves[1]) / "seq_bn"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_adapter_of_the_adapters_library_is_proven_on_the_engine_that_holds_it(bert, judged, bottleneck):
    found = judged(bottleneck)
    assert (found.state, failed(found)) == ("passed", [])
    assert (found.result["format"], found.result["kind"]) == ("adapters", "bottleneck")
    assert rows(found) == [("e4", "passed", None)]
    assert found.result["engine"]["adapters"] == "1.3.0"
    assert {item["adapter"] for item in found.result["evals"]} == {1.0}
    assert once_more(found).result == found.result
    assert [row.engine for row in Comparison.objects.all()] == ["e4"], "its programs wait; no other engine can judge it"


def test_without_the_weights_of_its_base_it_waits(bert, judged, bottleneck):
    Base.objects.update(has_weights=False)
    found = judged(bottleneck)
    assert (found.state, found.attempt) == ("queued", 0)
    assert "weights of tiny/bert" in found.reason


def compared() -> None:
    """Work as a worker does whom nobody asks for a validation, until the engine that it started answers."""
    loop, deadline = WorkLoop(), time.monotonic() + 180
    while not loop.step():
        assert time.monotonic() < deadline, "no engine came"
        time.sleep(0.1)


@pytest.mark.merge
def test_the_first_engine_decides_and_the_second_is_added_later(bert, judged):
    found = judged(adapters.lora())
    assert (found.state, rows(found)) == ("passed", [("e5", "passed", None)])
    owed = set(Comparison.objects.values_list("engine", flat=True))
    assert owed == {"e4", "e5"}, "its judgement and, by the engine that decided, its programs: in the same transaction"
    while Comparison.objects.exists():
        compared()
    found.refresh_from_db()
    assert rows(found) == [("e5", "passed", None), ("e4", "passed", None)]
    assert {row["transformers"].partition(".")[0] for row in found.result["engines"]} == {"4", "5"}
    assert (found.result["engine"]["name"], found.attempt) == ("e5", 1)
    assert not Comparison.objects.exists(), "nothing is left to do"
    assert not WorkLoop().step()


@pytest.mark.merge
def test_a_comparison_waits_for_no_start_and_behind_every_validation(bert, judged):
    judged(adapters.lora())
    Comparison.objects.filter(engine="e5").delete()  # its programs
    warm_engines.ENGINES.stop()
    loop = WorkLoop()
    assert not loop.step(), "its engine is started, and nobody waits for that"
    assert ("e4", "tiny/bert") in warm_engines.ENGINES.labels
    assert Comparison.objects.get().attempt == 0


@pytest.mark.merge
def test_an_adapter_that_only_the_second_engine_runs_passes_there(bert, judged):
    found = judged(adapters.prompt("PREFIX_TUNING", adapters.TINY_BERT, task="SEQ_CLS"))
    assert (found.state, failed(found)) == ("passed", [])
    assert rows(found) == [("e5", "failed", "load.error"), ("e4", "passed", None)]
    assert found.result["engine"]["name"] == "e4"
    assert "past keys" in found.result["engines"][0]["message"]


@pytest.mark.merge
def test_what_the_files_alone_refuse_is_asked_of_one_engine(bert, judged):
    found = judged(adapters.with_nan()(adapters.lora()))
    assert rows(found) == [("e5", "failed", "tensors.not-finite")]


def test_what_no_engine_runs_is_told_as_the_first_one_saw_it(bert, judged):
    found = judged(adapters.missing_layer()(adapters.lora()))
    assert (found.state, failed(found)) == ("failed", ["fit.missing"])
    assert rows(found) == [("e5", "failed", "fit.missing"), ("e4", "failed", "fit.missing")]


def test_a_format_of_an_engine_that_is_not_built_waits_and_says_so(bert, judged, settings, tmp_path):
    both = settings.ENGINES
    settings.ENGINES = tmp_path / "engines"
    settings.ENGINES.mkdir()
    (settings.ENGINES / "e5").symlink_to(both / "e5")
    found = judged({adapters.CONFIG: json.dumps(LIBRARY).encode()})
    assert (found.state, found.attempt) == ("queued", 0)
    jobs.sign_of_life("w1", offer=capabilities.offer("w1@here", 1))
    assert "e4" in queue.why(found)
    assert "Ask the operator of this hub to install it" in queue.why(found)
    sweeps.sweep()
    assert once_more(found).turn is None, "it stands in nobody's way"
    settings.ENGINES = both
    jobs.sign_of_life("w1", offer=capabilities.offer("w1@here", 1))
    sweeps.sweep()
    assert once_more(found).state == "failed", "it is looked at as soon as the engine is there"
