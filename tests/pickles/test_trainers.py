"""The state of a training is let in by what it imports: settings of trainers and numbers, and no function of theirs."""

import pytest

from dovetail.adapters import check
from dovetail.adapters.checks.files import is_of_trainer
from tests import adapters
from tests.pickled import call, new_object, torch_file
from tests.sweep import sweep

PICKLED = (
    "transformers.training_args TrainingArguments", "trl.trainer.sft_config SFTConfig",
    "axolotl.core.training_args AxolotlTrainingArguments", "llamafactory.hparams.training_args TrainingArguments",
    "swift.trainers.arguments Seq2SeqTrainingArguments", "alignment.configs SFTConfig",
    "sentence_transformers.training_args BatchSamplers", "accelerate.utils.dataclasses DeepSpeedPlugin",
    "transformers.trainer_utils IntervalStrategy", "torch device", "torch bfloat16", "torch._utils _rebuild_tensor_v2",
    "numpy._core.multiarray _reconstruct", "collections OrderedDict",
)  # fmt: skip
DANGEROUS = (
    "numpy.testing._private.utils runstring", "transformers.dynamic_module_utils get_class_from_dynamic_module",
    "torch.utils.cpp_extension load_inline", "torch.utils.bottleneck.__main__ run_cprofile", "torch.hub load",
    "torch load", "numpy load", "torch os.system", "transformers.trainer_utils Strategy.x", "peft.config x",
    "transformersx.evil SomeConfig", "builtins getattr", "functools partial", "__main__ MyArguments",
)  # fmt: skip


def refusals(files):
    return [found for found in check(adapters.openers(files)) if found.outcome == "failed"]


@sweep("name", PICKLED)
def test_what_trainers_pickle_is_let_in(name):
    assert is_of_trainer(name)


@sweep("name", DANGEROUS)
def test_a_function_of_the_same_libraries_is_not(name):
    assert not is_of_trainer(name)


@pytest.mark.parametrize("name", PICKLED[:6])
def test_the_arguments_of_a_training_leave_the_adapter_served(name):
    module, _, member = name.partition(" ")
    files = adapters.lora() | {"training_args.bin": torch_file(new_object(module, member, output_dir="out"))}
    assert [found.id for found in refusals(files)] == []


@pytest.mark.parametrize("name", DANGEROUS[:4])
def test_arguments_that_call_a_function_are_held_back(name):
    files = adapters.lora() | {"training_args.bin": torch_file(call(*name.split(" "), "1"))}
    found = refusals(files)
    assert [(one.id, one.where["quarantine"]) for one in found] == [("file.pickle", True)]
    assert name.split(" ")[1] in found[0].message
