"""Weights under other names or in parts are mended without a change of a value, and then load in PEFT and pass."""

import io
import re

import pytest

from dovetail.adapters.convert.mend import mended
from tests.adapters import CONFIG, TINY_BERT, WEIGHTS, ia3, lora, openers, pack, unpack, write
from tests.pickles.hostile import archive, table, tensor, text

PREFIX = "base_model.model."
SHARDS = ("adapter_model-00001-of-00002.safetensors", "adapter_model-00002-of-00002.safetensors")
INDEX = "adapter_model.safetensors.index.json"


def renamed(change):
    return lambda files: {**files, WEIGHTS: pack({change(name): one for name, one in unpack(files[WEIGHTS]).items()})}


def in_parts(change=str):
    def split(files):
        tensors = {change(name): one for name, one in unpack(files[WEIGHTS]).items()}
        halves = [dict(sorted(tensors.items())[at::2]) for at in (0, 1)]
        rest = {path: data for path, data in files.items() if path != WEIGHTS}
        return {**rest, **dict(zip(SHARDS, map(pack, halves), strict=True)), INDEX: b"{}"}

    return split


SPOILT = {
    "DDP around the PEFT model": renamed(lambda name: f"module.{name}"),
    "DDP within it": renamed(lambda name: name.replace(PREFIX, f"{PREFIX}module.")),
    "torch.compile": renamed(lambda name: f"_orig_mod.{name}"),
    "torch.compile of each layer": renamed(lambda name: name.replace(".attention.", "._orig_mod.attention.")),
    "FSDP": renamed(lambda name: "_fsdp_wrapped_module." + name.replace(".layer.0.", ".layer.0._fsdp_wrapped_module.")),
    "a state dict of the model": renamed(lambda name: name.replace(".weight", ".default.weight")
                                         if "lora_" in name else name.replace(".classifier.", ".classifier.")),
    "without the prefix of PEFT": renamed(lambda name: name.removeprefix(PREFIX)),
    "parts": in_parts(),
    "parts under DDP": in_parts(lambda name: f"module.{name}"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_mended_weights_have_the_same_values_load_in_peft_and_pass(name, bert, tmp_path):
    honest = lora(TINY_BERT)
    files = SPOILT[name](honest)
    repaired = mended(openers(files))
    assert repaired is not None
    target = io.BytesIO()
    repaired.write(target)
    assert unpack(target.getvalue()) == unpack(honest[WEIGHTS])
    kept = {path: data for path, data in files.items() if path not in repaired.removed} | {WEIGHTS: target.getvalue()}
    assert kept.keys() == honest.keys()
    for path, data in kept.items():
        (tmp_path / path).write_bytes(data)
    verdict = bert.validate(tmp_path)
    assert verdict["state"] == "passed", verdict["checks"]


def test_the_adapters_own_name_is_taken_out_of_the_names_of_any_method(bert, tmp_path):
    honest = ia3(TINY_BERT)
    named = re.compile(r"\.ia3_l$")
    tensors = {named.sub(".ia3_l.default", name): one for name, one in unpack(honest[WEIGHTS]).items()}
    warned = bert.validate(write({**honest, WEIGHTS: pack(tensors)}, tmp_path / "spoilt"))
    unused = next(check for check in warned["checks"] if check["id"] == "tensors.unused")
    assert (warned["state"], unused["outcome"]) == ("passed", "warned"), warned["checks"]
    assert "PEFT 0.21 finds them if the adapter is loaded under that name" in unused["message"]
    of_another = {f"{PREFIX}query.lokr_w1.default": next(iter(tensors.values()))} | unpack(honest[WEIGHTS])
    refused = bert.validate(write({**honest, WEIGHTS: pack(of_another)}, tmp_path / "of-another"))
    unused = next(check for check in refused["checks"] if check["id"] == "tensors.unused")
    assert "PEFT reads none of" in unused["message"]
    repaired = mended(openers({**honest, WEIGHTS: pack(tensors)}))
    assert repaired is not None
    assert {name: one.shape for name, one in repaired.tensors.items()} == {
        name: tuple(shape) for name, (_, shape, _) in unpack(honest[WEIGHTS]).items()
    }
    own = ("hada_w1_a.default", "lokr_w1.default", "boft_R.default", "oft_R.default.weight", "lora_embedding_A.default",
           "lora_magnitude_vector.default.weight", "ln_tuning_layers.default.bias", "hra_u.default")  # fmt: skip
    for name in own:
        files = {CONFIG: honest[CONFIG], WEIGHTS: pack({f"{PREFIX}query.{name}": next(iter(tensors.values()))})}
        repaired = mended(openers(files))
        assert repaired is not None, name
        saved = "lora_magnitude_vector" if "magnitude" in name else name.replace(".default", "")
        assert list(repaired.tensors) == [f"{PREFIX}query.{saved}"]


def without(path):
    return lambda files: {name: data for name, data in in_parts()(files).items() if name != path}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda files: files, without(SHARDS[1]), without(CONFIG),
        lambda files: {**in_parts()(files), WEIGHTS: files[WEIGHTS]},
        lambda files: {**in_parts()(files), SHARDS[1]: in_parts()(files)[SHARDS[0]]},
        lambda files: {**in_parts()(files), SHARDS[1]: b"cut off"},
        renamed(lambda name: name.replace("lora_", "other_").replace(PREFIX, "x.")),
    ],
    ids=["sound", "a part is missing", "no config", "beside a whole file", "a tensor twice", "broken", "no LoRA"],
)  # fmt: skip
def test_what_is_sound_or_lacks_something_is_not_mended(spoil):
    assert mended(openers(spoil(lora()))) is None


def test_a_pickle_is_mended_into_safetensors():
    name = "module.base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"
    files = {CONFIG: lora()[CONFIG], "adapter_model.bin": archive(table(text(name), tensor()))}
    repaired = mended(openers(files))
    assert repaired is not None
    assert (list(repaired.tensors), repaired.removed) == ([name.removeprefix("module.")], ("adapter_model.bin",))
