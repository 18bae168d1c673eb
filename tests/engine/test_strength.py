"""The strength curve: 0 is the base and 1 the verdict itself, what has no scale says so, and time bounds it."""

import pytest

from tests.adapters import SMOKE, facts_of, lora, smoke, with_file, write
from tests.engine.conftest import Engine, in_an_engine
from tests.engine.test_evaluation import TEXTS

ROWS = smoke([{"text": text, "label": number % 2} for number, text in enumerate(TEXTS)])


@pytest.fixture(scope="module")
def bert(bases, tmp_path_factory):
    engine = Engine(tmp_path_factory.mktemp("engine"), "--base", bases / "bert", "--base-id", "tiny/bert")
    yield engine
    engine.stop()


def strength_of(engine, folder, files, **job):
    verdict = engine.validate(write(files, folder), facts_of(files), **job)
    return verdict.get("strength"), verdict


@pytest.mark.merge
def test_the_curve_begins_at_the_base_and_holds_the_verdicts_own_number(bert, tmp_path):
    curve, verdict = strength_of(bert, tmp_path, with_file(SMOKE, ROWS)(lora()))
    points = {point["scale"]: point for point in curve["points"]}
    assert list(points) == [0, 0.25, 0.5, 0.75, 1, 1.25]
    own = verdict["evals"][0]
    assert (points[0]["effect"], points[0]["drift"], points[0]["score"]) == (0, 0, own["head_alone"])
    assert points[1]["score"] == own["adapter"]
    effects, drifts = ([point[name] for point in curve["points"]] for name in ("effect", "drift"))
    assert effects == sorted(effects), "the more of it, the more it does"
    assert 0 < drifts[1] < drifts[-1]
    assert curve["recommended"] is None, "labels by turns tell no scale from another"
    assert (curve["metric"], curve["rows"], curve["left_out"]) == ("accuracy", 24, "")


def test_without_labelled_rows_there_is_no_curve(bert, tmp_path):
    assert strength_of(bert, tmp_path, lora())[0] is None


@pytest.mark.merge
def test_zero_and_one_are_run_and_equal_to_the_last_bit_and_dora_is_left_out(bases):
    answers = in_an_engine(f"""
import pathlib, torch
from dataclasses import replace
from peft import LoraConfig, IA3Config, get_peft_model
from workers.engine.evals.choice import eval_of
from workers.engine.evals.rows import neutral
from workers.engine.models.methods import switched_off
from workers.engine.models.frozen import Frozen
from workers.engine.trials import further_runs
from workers.engine.trials.trial import Trial

def made(config):
    frozen = Frozen(pathlib.Path({str(bases / "bert")!r}), "tiny/bert")
    torch.manual_seed(1)
    model = get_peft_model(frozen.model("SEQ_CLS", 2), config).eval()
    for name, value in model.named_parameters():
        if "lora_" in name or "ia3_" in name:
            value.data = torch.randn_like(value)
    rows = neutral(frozen, eval_of("SEQ_CLS"))
    labelled = [row | {{"label": number % 2}} for number, row in enumerate(rows.rows)]
    rows = replace(rows, name="smoke", rows=labelled)
    trial = Trial.__new__(Trial)
    trial.frozen, trial.rows = frozen, rows
    trial.__dict__["loaded"] = (model, [])
    trial.__dict__["with_adapter"] = trial._timed(model)
    with switched_off(model) as off:
        trial.__dict__["without_adapter"] = trial._timed(off)
    return trial

def rows_score(trial):
    return trial.rows.eval.measure(trial.outputs)[0].adapter

common = dict(task_type="SEQ_CLS", target_modules=["query", "value"])
plain = made(LoraConfig(r=4, **common))
for scale, known in ((0.0, plain.without_adapter), (1.0, plain.with_adapter)):
    lines = further_runs.at_scale(plain, scale, plain.rows)
    print(all(torch.equal(a, b) for a, b in zip(lines, known.lines, strict=True)))
print(any(torch.equal(a, b) for a, b in zip(further_runs.at_scale(plain, 0.5, plain.rows), plain.with_adapter.lines)))
print(len(further_runs._why_not(plain)))
print("ignores" in further_runs._why_not(made(LoraConfig(r=4, use_dora=True, **common))))
points = further_runs.curve(plain, 600.0).points
print(points[4].score == rows_score(plain), len(points))
print("share" in further_runs.curve(plain, 0.0).left_out)
print("family" in further_runs._why_not(made(IA3Config(feedforward_modules=[], **common))))
""")
    assert answers == ["True", "True", "False", "0", "True", "True", "6", "True", "True"]


def test_the_smallest_scale_that_is_not_worse_beyond_chance_is_recommended():
    answers = in_an_engine("""
from workers.engine.evals.measures import Metric
from workers.engine.trials.further_runs import recommended

def shares(*right):
    return [Metric("accuracy", 0.5, n / 48, 48, scores=[1.0] * n + [0.0] * (48 - n)) for n in right]

print(recommended(shares(24, 30, 44, 46, 46, 40)))
print(recommended(shares(24, 25, 26, 26, 46, 47)))
print(recommended([Metric("loss", 3.0, n, 8, higher_is_better=False, scores=[n + at for at in range(8)])
                   for n in (3, 2, 1.0, 1.0, 1.2, 2)]))
print(recommended([Metric("spearman", 0, 0.5, 8)] * 6))
print(recommended(shares(24, 44, 44, 44, 44, 44)))
print(recommended(shares(44, 43, 44, 44, 44, 44)))
print(recommended([Metric("loss", 3.0, 2.0, 8, higher_is_better=False, scores=[2.0] * 8)] * 6))
""")
    assert answers == ["0.5", "1.0", "0.5", "None", "None", "None", "None"]
