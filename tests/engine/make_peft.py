"""Builds one good adapter of every PEFT method on the tiny bases; run by an engine's interpreter, since it needs PEFT.

.engines/e5/bin/python tests/engine/make_peft.py BASES DIR [NAME…]      writes DIR/<name>/ as save_pretrained() does

A row of ADAPTERS is a name, the base, the task and the keys of the config. Every weight that is trained is moved a
little, so that each adapter has an effect; the same seed gives the same bytes.
"""

import json
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import get_peft_config, get_peft_model

TARGETS = ["q_proj", "down_proj"]  # one of them not square
PROMPT = {"num_virtual_tokens": 4}
MODELS = {
    "CAUSAL_LM": transformers.AutoModelForCausalLM,
    "SEQ_CLS": transformers.AutoModelForSequenceClassification,
    "TOKEN_CLS": transformers.AutoModelForTokenClassification,
    "SEQ_2_SEQ_LM": transformers.AutoModelForSeq2SeqLM,
    "FEATURE_EXTRACTION": transformers.AutoModel,
}


@dataclass(frozen=True)
class Row:
    """One adapter: the method, where it goes, what its config says beyond that; `size` is how far weights are moved."""

    peft_type: str
    base: str = "llama"
    task: str = "CAUSAL_LM"
    config: dict[str, Any] = field(default_factory=lambda: {"target_modules": TARGETS})
    size: float = 0.2


def row(peft_type: str, base: str = "llama", task: str = "CAUSAL_LM", size: float = 0.2, **config: Any) -> Row:
    targets = {} if peft_type in WITHOUT_TARGETS else {"target_modules": TARGETS}
    return Row(peft_type, base, task, targets | config, size)


WITHOUT_TARGETS = (
    "ADAPTION_PROMPT", "PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING", "CPT", "CARTRIDGE",
)  # fmt: skip

ADAPTERS: dict[str, Row] = {
    "lora": row("LORA", r=4),
    "adalora": row("ADALORA", init_r=4, target_r=2, total_step=10, tinit=1, tfinal=1),
    "loha": row("LOHA", r=4, alpha=4, size=0.5),
    "lokr": row("LOKR", r=2, alpha=2),
    "oft": row("OFT", oft_block_size=8),
    "boft": row("BOFT", boft_block_size=4),
    "ia3": row("IA3", target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "vera": row("VERA", r=8),
    "pvera": row("PVERA", r=8),
    "randlora": row("RANDLORA", r=4),
    "vblora": row("VBLORA", r=4, num_vectors=16, vector_length=8, size=0.5),
    "unilora": row("UNILORA", r=4, theta_d_length=64, size=0.5),
    "tinylora": row("TINYLORA", r=2, u=16, size=0.5),
    "poly": row("POLY", r=4, n_tasks=2, n_skills=2),
    "delora": row("DELORA", r=4),
    "gralora": row("GRALORA", r=8, gralora_k=2),
    "hira": row("HIRA", r=4),
    "hra": row("HRA", r=4),
    "miss": row("MISS", r=8),
    "lily": row("LILY", r=4, num_B=2),
    "peanut": row("PEANUT", r=4),
    "psoft": row("PSOFT", r=4),
    "deft": row("DEFT", r=4),
    "glora": row("GLORA", r=4),
    "osf": row("OSF", effective_rank=24),
    "shira": row("SHIRA", r=4, random_seed=3),
    "supertuning": row("SUPERTUNING", sparsity=0.9),
    "frod": row("FROD", sparse_rate=0.1),
    "fourierft": row("FOURIERFT", n_frequency=64, size=1.0),
    "waveft": row("WAVEFT", n_frequency=64, size=1.0),
    "c3a": row("C3A", block_size=8),
    "road": row("ROAD", group_size=8),
    "beft": row("BEFT", "bert", "SEQ_CLS", target_modules=["query", "value"]),
    "ln-tuning": row("LN_TUNING", target_modules=["input_layernorm", "post_attention_layernorm"]),
    "trainable-tokens": row("TRAINABLE_TOKENS", target_modules=["embed_tokens"], token_indices=[5, 6, 7, 9, 12]),
    "adamss": row("ADAMSS", r=8, num_subspaces=2),
    "adaption-prompt": row("ADAPTION_PROMPT", adapter_len=4, adapter_layers=2),
    "prompt-tuning": row("PROMPT_TUNING", **PROMPT),
    "p-tuning": row("P_TUNING", encoder_hidden_size=16, **PROMPT),
    "prefix-tuning": row("PREFIX_TUNING", size=0.5, **PROMPT),
    "multitask-prompt-tuning": row("MULTITASK_PROMPT_TUNING", num_tasks=2, num_ranks=1, **PROMPT),
    "cpt": row("CPT", cpt_token_ids=[5, 6, 7, 9], cpt_mask=[1] * 4, cpt_tokens_type_mask=[1, 2, 3, 4]),
    "cartridge": row("CARTRIDGE", num_frozen_tokens=1, size=0.5, **PROMPT),
}


def build(bases: Path, name: str, folder: Path) -> None:
    """Writes one adapter."""
    wanted = ADAPTERS[name]
    torch.manual_seed(0)
    base = MODELS[wanted.task].from_pretrained(bases / wanted.base, attn_implementation="sdpa")
    config = get_peft_config({"peft_type": wanted.peft_type, "task_type": wanted.task, **wanted.config})
    model = get_peft_model(base, config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * wanted.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder / name)
    path = folder / name / "adapter_config.json"
    said = json.loads(path.read_text()) | {"base_model_name_or_path": f"tiny/{wanted.base}"}
    path.write_text(json.dumps(said, indent=2, sort_keys=True))
    (folder / name / "README.md").unlink(missing_ok=True)


def main(bases: Path, folder: Path, names: list[str]) -> None:
    for name in names or ADAPTERS:
        try:
            build(bases, name, folder)
        except ImportError as problem:
            print(f"{name}: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
