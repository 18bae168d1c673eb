"""Trains models with loralib itself, converts what it saves, and has PEFT compute the same.

Run by an engine's interpreter with loralib on its path; prints one line for each proof.
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import loralib
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaModel,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "client" / "src"))

from dovetail.adapters.convert import Settings, convert
from dovetail.adapters.readers.folder import files_in

warnings.simplefilter("ignore")
torch.set_num_threads(1)
TOKENS = torch.tensor([[1, 5, 9, 2, 7, 30]])
RANK, ALPHA = 4, 10
Replaced = Callable[[Any], torch.nn.Module]
SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
         "initializer_range": 0.3}  # fmt: skip


def roberta(cls: type[PreTrainedModel]) -> PreTrainedModel:
    return cls(RobertaConfig(**SIZES, num_labels=3, max_position_embeddings=40))


def llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=False))


def gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=40,
                                      initializer_range=0.3))  # fmt: skip


def linear(old: torch.nn.Linear) -> torch.nn.Module:
    new = loralib.Linear(old.in_features, old.out_features, r=RANK, lora_alpha=ALPHA, bias=old.bias is not None)
    new.load_state_dict(old.state_dict(), strict=False)
    return new


def merged(*enabled: bool) -> Callable[[torch.nn.Module], torch.nn.Module]:
    def replaced(old: torch.nn.Module) -> torch.nn.Module:
        inputs, outputs = old.weight.shape
        new = loralib.MergedLinear(inputs, outputs, r=RANK, lora_alpha=ALPHA, enable_lora=list(enabled),
                                   fan_in_fan_out=True, merge_weights=False)  # fmt: skip
        new.load_state_dict(old.state_dict(), strict=False)
        return new

    return replaced


def conv1d(old: torch.nn.Module) -> torch.nn.Module:
    inputs, outputs = old.weight.shape
    new = loralib.Linear(inputs, outputs, r=RANK, lora_alpha=ALPHA, fan_in_fan_out=True, merge_weights=False)
    new.load_state_dict(old.state_dict(), strict=False)
    return new


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(TOKENS)[0]


CASES: dict[str, tuple[Callable[[], PreTrainedModel], dict[str, Replaced], dict[str, Any], str]] = {
    "roberta": (lambda: roberta(RobertaModel), {"query": linear, "value": linear}, {}, "lora.pt"),
    "roberta with a head": (
        lambda: roberta(RobertaForSequenceClassification), {"query": linear, "value": linear}, {}, "lora.safetensors",
    ),
    "gpt2, q and v": (gpt2, {"c_attn": merged(True, False, True)}, {"enable_lora": (True, False, True)}, "gpt2.pt"),
    "gpt2, k": (gpt2, {"c_attn": merged(False, True, False)}, {"enable_lora": (False, True, False)}, "gpt2.bin"),
    "gpt2, all": (gpt2, {"c_attn": merged(True, True, True), "c_fc": conv1d}, {}, "nested.pt"),
    "llama": (llama, {"q_proj": linear, "v_proj": linear, "down_proj": linear}, {}, "lora.pt"),
}  # fmt: skip


def prove(name: str, folder: Path) -> None:
    make, replacements, more, file = CASES[name]
    torch.manual_seed(7)
    base = make()
    frozen = {key: value.clone() for key, value in base.state_dict().items()}
    plain = logits(base)
    for path, module in list(base.named_modules()):
        if replacement := replacements.get(path.rpartition(".")[2]):
            parent, _, leaf = path.rpartition(".")
            setattr(base.get_submodule(parent), leaf, replacement(module))
    for key, parameter in base.named_parameters():
        if "lora_" in key:
            torch.nn.init.normal_(parameter, std=0.2)
    saved = loralib.lora_state_dict(base)
    if "head" in name:
        torch.nn.init.normal_(base.classifier.out_proj.weight, std=0.5)
        saved |= {f"classifier.{key}": value for key, value in base.classifier.state_dict().items()}
    assert torch.equal(base.state_dict()[next(iter(frozen))], next(iter(frozen.values())))
    expected = logits(base.train())  # merge_weights of loralib's Linear merges in eval
    home = folder / name
    home.mkdir()
    if file.endswith("safetensors"):
        save_file({key: value.contiguous() for key, value in saved.items()}, home / file)
    else:
        torch.save({"model_state_dict": saved} if file == "nested.pt" else saved, home / file)
    made = folder / f"{name}-peft"
    convert(files_in(home), "peft", base="tiny/base", settings=Settings(alpha=ALPHA, **more)).write(made)
    own = make()
    own.load_state_dict(frozen)
    found = logits(PeftModel.from_pretrained(own, made))
    assert (expected - plain).abs().max() > 0.05, name
    assert (found - expected).abs().max() < 1e-4, (name, (found - expected).abs().max())
    print(name)


if __name__ == "__main__":
    for case in CASES:
        prove(case, Path(sys.argv[1]))
