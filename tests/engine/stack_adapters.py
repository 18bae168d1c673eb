"""Tells what PEFT makes of an adapter whose config names another adapter as its base; run by an engine's interpreter.

Prints a JSON object: the modules of the second adapter → which of "both", "second alone" and "neither" its logits are.
"""

import json
import sys
from pathlib import Path

import torch
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

TOKENS = torch.tensor([[1, 5, 9, 2, 7, 30]])
SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 48, "initializer_range": 0.3}  # fmt: skip
CASES = ("q_proj v_proj", "k_proj", "q_proj k_proj")  # the first adapter has q_proj and v_proj


def saved(model: PreTrainedModel, modules: str, named: Path, folder: Path) -> PeftModel:
    config = LoraConfig(r=4, target_modules=modules.split(), init_lora_weights=False, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = str(named)
    adapted.save_pretrained(folder)
    return adapted


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(TOKENS).logits


def outcome(folder: Path, modules: str) -> str:
    torch.manual_seed(0)
    base, first, second = (folder / name for name in ("base", "first", "second"))
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(base)
    merged = saved(LlamaForCausalLM.from_pretrained(base), CASES[0], base, first).merge_and_unload()
    both = logits(saved(merged, modules, first, second))
    alone = logits(PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base), second))
    found = logits(AutoPeftModelForCausalLM.from_pretrained(second))
    wanted = {"both": both, "second alone": alone}
    return next((what for what, those in wanted.items() if torch.allclose(found, those, atol=1e-4)), "neither")


if __name__ == "__main__":
    print(json.dumps({case: outcome(Path(sys.argv[1]) / case.replace(" ", "-"), case) for case in CASES}))
