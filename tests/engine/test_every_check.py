"""Every check of the list says no, or warns, of an adapter that is made for it, and of an honest one it does not.

`EXAMPLES` has a row for each check of the files; `IN_ENGINES` names, for each check that needs the base in memory, the
test that makes it say so. A check without a row is refused.
"""

import ast
import io
from pathlib import Path

import pytest

from dovetail.adapters.checks import checks_of, ids, opened
from dovetail.adapters.readers.folder import Base
from dovetail.adapters.results.findings import Finding
from tests import adapters
from tests.adapters import CONFIG, WEIGHTS, config, extra_tensor, facts_of, lora, openers, weights, with_file
from tests.engine.conftest import in_an_engine
from tests.engine.test_fields import BASE
from tests.engine.test_foreign import repository
from tests.sweep import sweep

TENSOR = f"{adapters.LAYER}.attention.self.value"
HONEST = lora(revision="a" * 40)


def uneven(tensors):
    return {name: entry for name, entry in tensors.items() if ".1.attention.self.value." not in name}


# Check → what it says, a part of its message, and how an honest adapter becomes one of which it says so.
EXAMPLES = {
    "file.pickle": ("failed", "would import builtins print", adapters.with_pickle()),
    "file.missing": ("failed", f"There is no {WEIGHTS}", adapters.without(WEIGHTS)),
    "file.ambiguous": ("failed", "PEFT reads one file only", with_file("adapter_model-00002.safetensors", b"")),
    "file.twins-differ": ("warned", "have different tensors", with_file("adapter_model.bin", adapters.tensor_pickle())),
    "file.header": ("failed", "is not a valid safetensors file", adapters.truncated()),
    "file.size": ("warned", "The weights are 2.2 GB", None),
    "config.missing": ("failed", f"There is no {CONFIG}", adapters.without(CONFIG)),
    "config.invalid": ("failed", "says r = 'eight'", config(r="eight")),
    "config.code": ("failed", "makes loaders import code: megatron_config", config(megatron_config={"a": 1})),
    "config.fetch": ("failed", "open what adapters names", config(adapters={"a": "evil/lora"})),
    "config.changes-base": ("failed", "takes a part out of the base's weights", config(init_lora_weights="pissa")),
    "config.kind": ("failed", "'TELEPATHY' is not a method of PEFT", config(peft_type="TELEPATHY")),
    "config.pattern": ("failed", "cannot be matched safely", config(target_modules="(a+)+b")),
    "config.rank": ("failed", "has rank 4, but adapter_config.json says 16", adapters.wrong_rank()),
    "tensors.dtype": ("warned", "Some tensors have the dtype F64", lambda _: lora(dtype="F64")),
    "tensors.not-finite": ("failed", "contains NaN or infinity", adapters.with_nan()),
    "tensors.unused": ("failed", "would silently drop them", adapters.renamed("base_model.model.", "model.")),
    "tensors.replaces-base": ("failed", "would overwrite weights of the base", extra_tensor(f"{TENSOR}.weight")),
    "tensors.pair": ("failed", "but no lora_B.weight", adapters.unpaired()),
    "tensors.targets": ("failed", "has no tensors for it", config(target_modules=["query", "value", "key"])),
    "tensors.layers": ("warned", "In layers 0 to 1, attention.self.value is not in every layer", weights(uneven)),
    "tensors.all-zero": ("failed", "the adapter changes nothing", adapters.all_zero()),
    "tensors.scale": ("warned", "is scaled by 250", config(lora_alpha=1000)),
    "base.unnamed": ("failed", "base_model_name_or_path is empty", config(base_model_name_or_path=None)),
    "base.local-path": ("failed", "on the machine that trained it", config(base_model_name_or_path="/home/me/b")),
    "base.unknown": ("failed", "does not know the base 'tiny/other'", config(base_model_name_or_path="tiny/other")),
    "base.mismatch": ("failed", "but it was checked against 'tiny/bert'", config(base_model_name_or_path="tiny/other")),
    "base.quantised": ("warned", "is a quantised copy", config(base_model_name_or_path="tiny/bert-bnb-4bit")),
    "base.unpinned": ("warned", "pins the base to 123456", config(revision="1234567")),
    "base.vocabulary": ("failed", "gives a token the id 400", with_file("added_tokens.json", b'{"<x>": 400}')),
    "base.chat-template": ("warned", "and tiny/bert has none", with_file("chat_template.jinja", b"{{ messages }}")),
    "eval.random-head": ("failed", "the file has no classifier or score", weights(lambda t: {
        name: entry for name, entry in t.items() if "classifier" not in name})),
    "fit.missing": ("failed", "4 of the 10 tensors for tiny/bert are not in the file", adapters.missing_layer()),
    "fit.unexpected": ("failed", "tiny/bert has no place for", adapters.extra_layer()),
    "fit.shape": ("failed", "is [4, 64], but tiny/bert needs [4, 32]", adapters.wider()),
    "run.not-here": ("skipped", "No engine of this hub runs a LoRA of kohya", lambda _: repository("kohya")),
    "card.license": ("warned", "The card names no license", None),
    "card.base": ("warned", "nor the adapter's files name a base", config(base_model_name_or_path="./out")),
    "card.task": ("warned", "Neither the card nor the adapter's files name a task", lambda _: lora(task=None)),
    "privacy.training-data": ("warned", "names a home folder (/home/me", with_file("notes.txt", b"from /home/me/data")),
    "privacy.secret": ("warned", "notes.txt contains a Hugging Face token", with_file("notes.txt", b"hf_" + b"a" * 34)),
}  # fmt: skip
# Check → the test that makes an engine, or the validator, say so.
IN_ENGINES = {
    "load.error": ("test_methods", "test_a_prefix_before_labels_is_for_transformers_4_and_the_verdict_says_so"),
    "load.changed-base": ("test_vocabulary", "test_tied_layers_on_a_base_that_ties_none_change_it"),
    "run.not-finite": ("test_evaluation", "test_an_adapter_that_overflows_is_not_finite"),
    "run.no-effect": ("test_evaluation", "test_an_adapter_that_is_not_felt_has_no_effect"),
    "run.not-deterministic": ("test_every_check", "test_what_only_chance_brings_about_is_told"),
    "run.random-weights": ("test_vocabulary", "test_what_neither_base_nor_file_has_is_drawn_by_each_load"),
    "run.cost": ("test_every_check", "test_what_only_chance_brings_about_is_told"),
    "run.merge": ("test_every_check", "test_what_only_chance_brings_about_is_told"),
    "eval.worse-than-base": ("test_measured", "test_rows_that_say_the_opposite_find_it_worse_than_its_base"),
    "eval.claim": ("test_measured", "test_a_claim_holds_or_does_not_in_every_task"),
    "eval.expected": ("test_measured", "test_what_its_author_saw_it_say_is_compared"),
    "eval.neutral": ("test_every_check", "test_what_only_chance_brings_about_is_told"),
    "eval.degenerate": ("test_measured", "test_one_answer_to_everything_is_told_of"),
    "eval.rows": ("test_evaluation", "test_rows_that_cannot_be_used_warn_and_the_adapter_is_still_run"),
    "limits.time": ("test_protocol", "test_time_beyond_the_limit_is_the_adapters_fault_and_named_with_the_number"),
    "limits.memory": ("test_protocol", "test_memory_beyond_the_limit_is_the_adapters_fault_and_named"),
    "engine.check-crashed": ("test_child", "test_a_check_that_raises_ends_the_stage_and_says_whose_fault_it_is"),
}


def answer(id, files, card):
    """Ask one check alone, as the family of the files is asked it, on the tiny BERT."""
    folder = opened(files, card, known_bases=("tiny/bert",))
    folder.base = Base("tiny/bert", BASE, 96, revision="a" * 40, chat_template="")
    check = next(check for check in checks_of(folder) if check.id == id)
    found = check.ask(folder)
    return found if isinstance(found, Finding) else Finding("passed", found)


def large(data):
    """The same file with a last tensor of 2.2 GB, none of which takes space on a disk."""

    class Sparse(io.BytesIO):
        def seek(self, offset, whence=0):
            return 2_200_000_000 if (offset, whence) == (0, 2) else super().seek(offset, whence)

    return lambda: Sparse(data)


def test_every_check_has_a_row():
    assert list(EXAMPLES) == list(ids("files"))
    assert set(IN_ENGINES) == set(ids("engine", "told"))


@sweep("id", EXAMPLES)
def test_a_check_of_the_files_says_so_of_what_is_made_for_it_and_not_of_an_honest_adapter(id):
    outcome, message, spoil = EXAMPLES[id]
    files = openers(spoil(HONEST) if spoil else HONEST)
    if id == "file.size":
        files[WEIGHTS] = large(HONEST[WEIGHTS])
    found = answer(id, files, {} if id.startswith("card.") else facts_of(HONEST))
    assert (found.outcome, message in found.message) == (outcome, True), found
    assert found.fix
    if id != "run.not-here":
        assert answer(id, openers(HONEST), facts_of(HONEST)).outcome in ("passed", "skipped")


@sweep("id", IN_ENGINES)
def test_a_check_in_an_engine_has_a_test_that_asserts_it(id):
    module, name = IN_ENGINES[id]
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text())
    test = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    constants = {node.value for node in ast.walk(test) if isinstance(node, ast.Constant)}
    assert id in constants or any(id in str(value) for value in constants), f"{name} does not name {id}"


CHANCE = """
import sys
from types import SimpleNamespace as Some
import torch
from dovetail.adapters.checks import CHECKS as ALL
from dovetail.adapters.results.findings import run
from workers.engine.checks import CHECKS
from workers.engine.checks.evaluation import _beside_its_head
from workers.engine.evals.measures import Metric
from workers.engine.trials.trial import Timed

def trial(again=0.0, third=0.0, slow=1.0, merged=0.0, loss=1.0):
    first = torch.ones(4, 2)
    return Some(
        with_adapter=Timed(list(first), 1.0), again=Timed(list(first + again), 1.0), slowness=lambda most: slow,
        once_more=Timed(list(first + third), 1.0),
        after_merge=Timed(list(first + merged), 1.0), frozen=Some(noise=1e-6), began_with=0, evals=[], cost={},
        base=Some(config=Some(tie_word_embeddings=False)), neutral=Some(rows=()),
        folder=Some(sizes={}, kind=None, card={}, layout=None),
        rows=Some(eval=Some(task="CAUSAL_LM", measure=lambda seen: [METRIC(loss)])),
    )

def METRIC(loss):
    return Metric("loss", 1.0, loss, 8, higher_is_better=False)

def outcome(id, **changes):
    check = next(check for check in CHECKS if check.id == id)
    (result,) = run([check], trial(**changes))
    print(result.outcome)

for changes in ({}, {"again": 1e-7}, {"again": 1e-6, "third": 1e-6}, {"again": 1e-3, "third": 1e-3}):
    outcome("run.not-deterministic", **changes)
for slow in (5.0, 5.1):
    outcome("run.cost", slow=slow)
for merged in (0.0, 0.01, 0.06):
    outcome("run.merge", merged=merged)
for loss in (2.0, 2.1, 20.1):
    outcome("eval.neutral", loss=loss)
right, wrong = [1.0] * 12, [0.0] * 12
for scores, alone in ((wrong, right), (right, wrong)):  # of rows; the number that weighs labels fell both times
    metric = Metric("balanced-accuracy", 0.5, 0.6, 12, head_alone=0.7, scores=scores, alone_scores=alone)
    print(_beside_its_head(metric, "", "failed", {}).outcome)
"""


@pytest.mark.merge
def test_what_only_chance_brings_about_is_told(engine_python):
    """Runs that differ, a slow machine, roundings: no adapter brings them about when it is asked to."""
    expected = {
        "run.not-deterministic": ["passed", "failed", "passed", "failed"],
        "run.cost": ["passed", "warned"],
        "run.merge": ["passed", "warned", "failed"],
        "eval.neutral": ["passed", "warned", "failed"],
        "eval.worse-than-base": ["failed", "warned"],
    }
    assert in_an_engine(CHANCE) == [outcome for outcomes in expected.values() for outcome in outcomes]
