"""Serving engines are tried after the verdict, when nothing else waits; what they did becomes a part of their row.

`make bench ARGS=measured` tries vLLM itself; here its engine is one that says what it is told to.
"""

import json
import re
import shutil
import time
from functools import partial
from pathlib import Path

import pytest
from django.db import transaction

from features.measured.jobs import JOBS
from registry.models import Comparison, Repository, Revision, Verdict
from registry.proof.verdicts import comparisons, jobs, requests
from registry.proof.verdicts.requests import latest
from registry.publish import push
from registry.publish.push import MAIN, Inline, Intent
from tests.adapters import pack
from tests.sweep import at_merge
from tests.workers.conftest import BASE, FAKE, validate
from workers import base_cache
from workers.engines import capabilities, warm_engines
from workers.loop import WorkLoop

pytestmark = pytest.mark.django_db(transaction=True)
FAKE_HERE = Path(__file__).parent / "fake_engine.py"


@pytest.fixture
def played(engine, settings):
    """Choose how an engine of this hub behaves: a part in fake_engine.py."""
    settings.ENGINES_MEASURED = True
    engine("passes")
    script = Path(settings.ENGINES, "e5", "bin", "python").read_text()
    fake = Path(settings.ENGINES, "fake_engine", FAKE.name)

    def behave(name: str, mode: str) -> None:
        python = Path(settings.ENGINES, name, "bin", "python")
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(script.replace(f'{fake} "passes"', f'{FAKE_HERE} "{mode}"'))
        python.chmod(0o755)

    return behave


@pytest.fixture
def measurer(played):
    """Choose how the engine behaves that tries vLLM; the one that proves says that vLLM serves every adapter."""
    played("e5", "is served by vLLM")
    return partial(played, "vllm")


def proven(verdict: Verdict) -> Verdict:
    jobs.sign_of_life("worker", offer=capabilities.offer("worker", 1))
    validate(verdict.pk)
    return Verdict.objects.get(pk=verdict.pk)


def step(loop: WorkLoop) -> None:
    """Work until a job was done."""
    deadline = time.monotonic() + 180
    while not loop.step():
        assert time.monotonic() < deadline, "no engine came"
        time.sleep(0.05)


def measured(verdict: Verdict, engine: str = "vllm") -> dict:
    """Work until the trial is done, and return the row of the engine that was tried."""
    step(WorkLoop(later=JOBS.later))
    found = Verdict.objects.get(pk=verdict.pk)
    assert (found.state, Comparison.objects.count()) == ("passed", 0)
    return next(row for row in found.result["serving"] if row["engine"] == engine)


def test_an_engine_that_reaches_nothing_turns_serves_into_wrong(pushed, base, measurer, settings):
    settings.ENGINES_DEPTH = "mapping"
    measurer("measures")
    found = proven(pushed())
    assert found.state == "passed", "the verdict waits for no trial"
    row = Comparison.objects.get()
    assert (row.engine, row.route, row.attempt) == ("vllm", "", 0)
    waiting = found.report.serving[0]
    assert (waiting.engine, waiting.outcome, waiting.source) == ("vllm", "unknown", "not tried yet")
    assert waiting.reason.startswith("Not tried yet. By its rules it serves it: ")
    assert Repository.objects.get().serves == "\ntgi\n", "lists name what is known to serve it"
    assert [one["serves"] for one in found.result["contents"]] == [["tgi"]]
    answer = measured(found)
    assert (answer["outcome"], answer["by"], answer["flags"]) == ("wrong", "measured", [])
    assert "0 of 62 modules" in answer["reason"]
    assert "By its rules" not in answer["reason"]
    assert "untried" not in answer
    assert "model.layers.0.self_attn.q_proj" in answer["reason"]
    seen = {key: answer["measured"][key] for key in ("depth", "engine", "modules", "of")}
    assert seen == {"depth": "mapping", "engine": "vllm 0.32.0", "modules": 0, "of": 62}
    others = [row for row in Verdict.objects.get().result["serving"] if row["engine"] != "vllm"]
    assert [row.get("by") for row in others] == [None], "those that were not tried stay as they were"
    assert Repository.objects.get().serves == "\ntgi\n", "lists do not name vLLM any more"
    assert [one["serves"] for one in Verdict.objects.get().result["contents"]] == [["tgi"]]


def test_an_engine_that_answers_as_another_adapter_would_turns_serves_into_wrong(pushed, base, measurer, settings):
    settings.ENGINES_DEPTH = "run"
    measurer("measures")
    answer = measured(proven(pushed()))
    assert (answer["outcome"], answer["by"], answer["flags"]) == ("wrong", "measured", [])
    assert "ran it on a small base of this architecture, loads it without an error" in answer["reason"]
    assert (answer["measured"]["depth"], answer["measured"]["answer"]) == ("run", "neither")


@pytest.mark.parametrize(
    ("mode", "english"), [("measures one part", "measured"), ("measures one part and not the other", "untried")]
)
def test_each_of_several_adapters_keeps_the_rows_that_its_own_trial_leaves(
    cast, base, measurer, django_capture_on_commit_callbacks, mode, english
):
    measurer(mode)
    config = json.dumps({"peft_type": "LORA", "base_model_name_or_path": BASE}).encode()
    files = [
        Inline(f"{folder}/{name}", data)
        for folder in ("english", "german")
        for name, data in (("adapter_config.json", config), ("adapter_model.safetensors", b"weights"))
    ]
    intent = Intent(cast.repository("alice/reviews"), MAIN, cast.session("alice"), "weights")
    with django_capture_on_commit_callbacks(execute=True):
        found = proven(latest(push.receive(intent, files).revision))
    before = {one["path"]: one["serves"] for one in found.result["contents"]}
    assert before == {"english": ["tgi"], "german": ["tgi"]}, "vLLM was not tried yet"
    answer = measured(found)
    assert (answer["outcome"], answer["by"]) == ("wrong", "measured"), "the worst decides for the repository"
    parts = {one["path"]: one for one in Verdict.objects.get().result["contents"]}
    assert {path: one["serves"] for path, one in parts.items()} == before | {"english": ["vllm", "tgi"]}
    assert [row["engine"] for row in parts["german"]["serving"]] == ["tgi"]
    row = parts["english"]["serving"][0]
    assert row["flags"] == ["--enable-lora"]
    if english == "untried":
        assert (row["untried"], "measured" in row) == ("head_dim 16 is not supported", False)
    else:
        assert (row["by"], row["measured"]["modules"]) == ("measured", 62)


@pytest.mark.parametrize(
    ("base", "pipeline"),
    [("stabilityai/stable-diffusion-xl-base-1.0", "StableDiffusionXLPipeline"), ("acme/a-new-painter", "")],
)
def test_a_lora_for_images_is_tried_with_the_pipeline_that_its_bases_name_means(
    cast, played, django_capture_on_commit_callbacks, base, pipeline
):
    played("e5", "is served by diffusers")
    played("diffusers", "tells its base")
    layer = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
    tensors = {f"{layer}.lora_down.weight": ("F32", (1, 2048)), f"{layer}.lora_up.weight": ("F32", (640, 1))}
    weights = pack({name: (*kind, bytes(4 * kind[1][0] * kind[1][1])) for name, kind in tensors.items()})
    card = f"---\nbase_model: {base}\n---\n".encode()
    intent = Intent(cast.repository("alice/brush"), MAIN, cast.session("alice"), "weights")
    with django_capture_on_commit_callbacks(execute=True):
        revision = push.receive(intent, [Inline("brush.safetensors", weights), Inline("README.md", card)]).revision
    found = proven(latest(revision))
    assert found.state == "passed"
    assert list(Comparison.objects.values_list("engine", flat=True)) == (["diffusers"] if pipeline else [])
    if pipeline:
        answer = measured(found, "diffusers")
        assert (answer["outcome"], answer["by"]) == ("refuses", "measured")
        assert f"tried as {pipeline}" in answer["reason"]


def again(verdict: Verdict) -> Verdict:
    """Judge the same revision once more."""
    with transaction.atomic():
        return proven(requests.request(verdict.revision, verdict.base, verdict.format, again=True))


@pytest.mark.parametrize(("mode", "outcome"), [("measures", "wrong"), *at_merge(("measures all", "serves"))])
def test_what_a_trial_found_holds_until_the_next_trial_of_the_same_files(
    pushed, base, measurer, settings, mode, outcome
):
    settings.ENGINES_DEPTH = "mapping"
    measurer(mode)
    first = proven(pushed())
    found = measured(first)
    assert (found["outcome"], found["by"]) == (outcome, "measured")
    renewed = again(first)
    row = renewed.report.serving[0]
    assert (renewed.number, row.outcome) == (2, outcome)
    assert row.measured == Verdict.objects.get(pk=first.pk).report.serving[0].measured
    assert ("\nvllm\n" in Repository.objects.get().serves) == (outcome == "serves")
    third = again(first).report.serving[0]
    assert third.outcome == outcome
    assert third.reason.count("By its rules") == (outcome != "serves"), "told once, however often it is renewed"
    warm_engines.ENGINES.stop()
    measurer("measures" if mode == "measures all" else "measures all")
    after = measured(Verdict.objects.get(number=3))
    assert (after["outcome"], after["by"]) == ("wrong" if outcome == "serves" else "serves", "measured")
    assert "By its rules" not in after["reason"]


def test_a_copy_of_a_verdict_waits_for_trials_of_its_own(pushed, base, measurer, cast):
    measurer("measures all")
    first = proven(pushed())
    with transaction.atomic():
        merged = Revision.objects.create(
            repository=first.revision.repository, oid="c" * 40, author=first.revision.author
        )
        copied = requests.adopt(merged, first.revision)
    assert copied.report.serving[0].source == "not tried yet"
    assert sorted(Comparison.objects.values_list("verdict", "engine")) == [(first.pk, "vllm"), (copied.pk, "vllm")]


def test_what_cannot_be_tried_stays_as_the_rules_say(pushed, base, measurer, caplog):
    measurer("cannot measure")
    answer = measured(proven(pushed()))
    assert (answer["outcome"], answer.get("by"), answer.get("measured")) == ("serves", None, None)
    assert answer["untried"] == "head_dim 16 is not supported"


def test_an_engine_whose_trial_reached_its_limit_of_time_is_unknown_and_not_tried_again(pushed, base, measurer):
    measurer("is stopped in its trial")
    found = proven(pushed())
    answer = measured(found)
    assert (found.state, answer["outcome"], answer["by"], answer["flags"]) == ("passed", "unknown", "measured", [])
    assert answer["reason"] == (
        "vLLM 0.32.0 was tried with it, and stopped after 20 seconds of processor time, the limit of a trial, which "
        "says nothing about the adapter."
    )
    assert Repository.objects.get().serves == "\ntgi\n", "lists name what is known to serve it"


@pytest.mark.parametrize("mode", ["measures nonsense", *at_merge("measures another job", "dies", "ends its trial")])
def test_an_engine_that_cannot_be_believed_is_asked_again_and_then_left(pushed, base, measurer, settings, mode):
    measurer(mode)
    found = proven(pushed())
    step(WorkLoop(later=JOBS.later))
    row = Comparison.objects.get()
    assert row.attempt == 1, "it is put off"
    Comparison.objects.update(attempt=settings.MAX_ATTEMPTS, free_at=row.asked_at)
    assert comparisons.give_up() == 1
    assert not Comparison.objects.exists()
    after = Verdict.objects.get(pk=found.pk)
    assert [row["name"] for row in after.result["engines"]] == ["e5"], "it was no engine that judges"
    row = after.result["serving"][0]
    assert (row["outcome"], "measured" in row) == ("serves", False)
    assert "\nvllm\n" in Repository.objects.get().serves
    assert re.match(r"It gave no answer in \d attempts", row["untried"])


@pytest.mark.parametrize("why", ["off", *at_merge("not built", "base unknown to the hub")])
def test_no_trial_is_asked_for_where_none_can_be_made(pushed, base, measurer, settings, why):
    measurer("measures")
    verdict = pushed()
    if why == "off":
        settings.ENGINES_MEASURED = False
    elif why == "not built":
        shutil.rmtree(Path(settings.ENGINES, "vllm"))
    else:
        verdict = pushed("", message="other weights")
        base_cache.remove(BASE)
    assert ("vllm" in capabilities.current().engines) == (why == "base unknown to the hub")
    assert proven(verdict).state == "passed"
    assert not Comparison.objects.exists()
