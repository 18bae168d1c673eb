"""Makes bases with experts, and LoRAs on the tables that hold all experts of a layer; by peft, on engine e5.

.engines/e5/bin/python tests/engine/make_experts.py DIR      writes DIR/bases/NAME and DIR/NAME-VARIANT
"""

import sys
import warnings
from pathlib import Path

import torch
import transformers as t
from peft import LoraConfig, get_peft_model

SMALL = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 64, "initializer_range": 0.3, "pad_token_id": 0,
    "num_local_experts": 3, "num_experts_per_tok": 2,
}  # fmt: skip
BASES = {
    "mixtral": lambda: t.MixtralForCausalLM(t.MixtralConfig(**SMALL)),
    # whose tables have the inputs before the outputs
    "gpt-oss": lambda: t.GptOssForCausalLM(t.GptOssConfig(**SMALL, head_dim=8, layer_types=["full_attention"] * 2)),
}
BOTH = ["experts.gate_up_proj", "experts.down_proj"]
VARIANTS = {
    "both": {"target_modules": ["q_proj"], "target_parameters": BOTH, "r": 4},
    "down": {"target_modules": [], "target_parameters": BOTH[1:], "r": 4, "lora_alpha": 16},
    "ranks": {"target_modules": ["v_proj"], "target_parameters": BOTH, "r": 4, "use_rslora": True,
              "rank_pattern": {"experts.down_proj": 2}},
}  # fmt: skip


def make(folder: Path, base: str, variant: str) -> None:
    torch.manual_seed(1)
    model = BASES[base]()
    if variant == "both":
        model.save_pretrained(folder / "bases" / base)
    model.name_or_path = model.config._name_or_path = f"tiny/{base}"
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **VARIANTS[variant]))
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=0.02)
    for _ in range(3):
        ids = torch.randint(2, 60, (4, 12))
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder / f"{base}-{variant}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in BASES:
        for kind in VARIANTS:
            make(Path(sys.argv[1]), name, kind)
