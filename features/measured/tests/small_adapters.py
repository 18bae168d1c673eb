"""Makes LoRAs small as trials of serving engines do, and prints whose answers PEFT gives with what an engine would get.

It runs in engine e5 and stands for an engine that loads files as PEFT does, or reads less of them.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]

import torch
from peft import PeftModel

from dovetail.adapters.results.report import Measured
from dovetail.adapters.serving import Subject
from features.measured.engine import Trial, Unmeasurable
from features.measured.engine.small import Small, answer, expected
from features.measured.engine.small_base import model_of

torch.set_num_threads(1)
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
}  # fmt: skip
GEMMA = {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "num_hidden_layers": 26}
PLAIN = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 64, "lora_alpha": 128, "target_modules": ["q_proj"]}
LAYERS = range(32)


def tensors(layers=LAYERS, prefix="base_model.model.model.layers", rank=64):
    found = {}
    for layer in layers:
        found[f"{prefix}.{layer}.self_attn.q_proj.lora_A.weight"] = (rank, 4096)
        found[f"{prefix}.{layer}.self_attn.q_proj.lora_B.weight"] = (4096, rank)
    return found


def tried(config, shapes, settings, forgets=()):
    """Return whose answers an engine gives that forgets some settings of the adapter."""
    with tempfile.TemporaryDirectory() as name:
        small = Small(Trial(Subject(PLAIN | settings, shapes), Path(), config, Path(name)))
        right = expected(small)
        folder = small.write_adapter()
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k not in forgets}))
        model = model_of(config)
        right.require_base([answer(model, prompt) for prompt in right.prompts])
        tuned = PeftModel.from_pretrained(model, folder).eval()
        measured = right.judged(Measured(), [answer(tuned, prompt) for prompt in right.prompts])
        return f"{small.layers} {measured.depth} {measured.answer}"


def unmeasurable(config, shapes, settings):
    try:
        return tried(config, shapes, settings)
    except Unmeasurable as problem:
        return str(problem)


WRAPPED = tensors(prefix="base_model.model.model.language_model.layers")
print("plain", tried(LLAMA, tensors(), {}))
print("a kind of layer for each", tried(GEMMA, tensors(range(26)), {}))
print("late layers", tried(LLAMA, tensors(range(28, 32)), {"layers_to_transform": [28, 29, 30, 31]}))
print("rank-stabilised", tried(LLAMA, tensors(), {"use_rslora": True}))
print("rank-stabilised, forgotten", tried(LLAMA, tensors(), {"use_rslora": True}, ["use_rslora"]))
table = {"alpha_pattern": {"layers.1.self_attn.q_proj": 512}}
print("a pattern", tried(LLAMA, tensors(), table))
print("a pattern, forgotten", tried(LLAMA, tensors(), table, ["alpha_pattern"]))
print("pissa, forgotten", tried(LLAMA, tensors(), {"init_lora_weights": "pissa"}, ["init_lora_weights"]))
print("activated", tried(LLAMA, tensors(), {"alora_invocation_tokens": [5, 6]}))
print("activated, forgotten", tried(LLAMA, tensors(), {"alora_invocation_tokens": [5, 6]}, ["alora_invocation_tokens"]))
print("names that PEFT has no place for", tried(LLAMA, WRAPPED, {}))
print("a module that is not there", unmeasurable(LLAMA, {"base_model.model.x.lora_A.weight": (4, 8)}, {}))
print("no class", unmeasurable(LLAMA | {"architectures": ["NobodyForCausalLM"]}, tensors(), {}))
