"""Builds tiny bases without attention, and adapters on them; run by an engine's interpreter, since it needs torch.

.engines/e5/bin/python tests/engine/make_attention_free.py BASES DIR      writes DIR/BASE and DIR/BASE-METHOD

BASES holds the tiny llama, whose tokenizer they get.
"""

import re
import sys
from pathlib import Path

import torch
import transformers as t
from peft import LoHaConfig, LoraConfig, PromptTuningConfig, get_peft_model

SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "pad_token_id": 0}
BASES = {  # the config, and the layers of the adapter
    "mamba": (t.MambaConfig(**SMALL, state_size=4), ["in_proj", "x_proj"]),
    "mamba2": (t.Mamba2Config(**SMALL, state_size=4, num_heads=8, head_dim=8, n_groups=1), ["in_proj"]),
    "falcon-mamba": (t.FalconMambaConfig(**SMALL, state_size=4), ["in_proj", "x_proj"]),
    "rwkv": (t.RwkvConfig(**SMALL, attention_hidden_size=32, context_length=64), ["key", "value", "receptance"]),
}


def main(bases: Path, folder: Path) -> None:
    tokenizer = t.PreTrainedTokenizerFast.from_pretrained(bases / "llama")
    for name, (config, layers) in BASES.items():
        torch.manual_seed(1)
        model = t.AutoModelForCausalLM.from_config(config)
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        saved = folder / name / "config.json"
        saved.write_text(re.sub(r'\{\s*"__float__": "Infinity"\s*\}', "Infinity", saved.read_text()))  # as 4 saves it
        methods = {
            "lora": LoraConfig(r=4, target_modules=layers, task_type="CAUSAL_LM"),
            "loha": LoHaConfig(r=4, target_modules=layers[:1], task_type="CAUSAL_LM"),
            "prompt": PromptTuningConfig(
                num_virtual_tokens=4, task_type="CAUSAL_LM", num_attention_heads=1, token_dim=32
            ),
        }
        for method, settings in methods.items():
            model = t.AutoModelForCausalLM.from_pretrained(folder / name)
            model.name_or_path = model.config._name_or_path = f"tiny/{name}"
            adapted = get_peft_model(model, settings)
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.data = 0.2 * torch.randn_like(parameter)
            adapted.save_pretrained(folder / f"{name}-{method}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
