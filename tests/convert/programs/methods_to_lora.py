"""Makes LoRAs of adapters of PEFT's other methods, and has PEFT load both. Run by an engine's interpreter.

Prints one line for each method.
"""

import json
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import peft
import torch
from peft import PeftModel, get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "client" / "src"))

from dovetail.adapters.checks.config import changes_base
from dovetail.adapters.convert import Settings, convert
from dovetail.adapters.readers.folder import Folder, files_in
from dovetail.integrations.peft_changes import changes

warnings.simplefilter("ignore")
torch.set_num_threads(1)
TOKENS = torch.tensor([[1, 5, 9, 2, 7, 30]])
SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
         "initializer_range": 0.3}  # fmt: skip
LLAMA = ["q_proj", "v_proj", "down_proj"]


def llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=False))


def gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3))


def bert() -> PreTrainedModel:
    return BertForSequenceClassification(BertConfig(**SIZES, num_labels=3))


CASES = {
    "LoHa": (llama, peft.LoHaConfig(r=3, alpha=6, target_modules=LLAMA, init_weights=False)),
    "LoKr": (llama, peft.LoKrConfig(r=3, alpha=5, target_modules=LLAMA, init_weights=False)),
    "IA3": (llama, peft.IA3Config(target_modules=LLAMA, feedforward_modules=["down_proj"])),
    "OFT": (llama, peft.OFTConfig(r=0, oft_block_size=8, target_modules=LLAMA)),
    "BOFT": (llama, peft.BOFTConfig(boft_block_size=8, target_modules=LLAMA)),
    "VeRA": (llama, peft.VeraConfig(r=8, target_modules=["q_proj", "v_proj"], save_projection=True)),
    "VeRA without its matrices": (llama, peft.VeraConfig(r=8, target_modules=["q_proj"], save_projection=False)),
    "AdaLoRA": (llama, peft.AdaLoraConfig(init_r=4, target_r=4, total_step=10, target_modules=LLAMA)),
    "DoRA": (llama, peft.LoraConfig(r=4, lora_alpha=6, use_dora=True, target_modules=LLAMA)),
    "rsLoRA": (llama, peft.LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=LLAMA)),
    "HRA": (llama, peft.HRAConfig(r=4, target_modules=LLAMA)),
    "MiSS": (llama, peft.MissConfig(r=4, target_modules=LLAMA)),
    "FourierFT": (llama, peft.FourierFTConfig(n_frequency=50, target_modules=LLAMA)),
    "HiRA": (llama, peft.HiraConfig(r=4, target_modules=LLAMA)),
    "RandLoRA": (llama, peft.RandLoraConfig(r=4, target_modules=["q_proj"], save_projection=True)),
    "VBLoRA": (llama, peft.VBLoRAConfig(r=2, num_vectors=16, vector_length=8, topk=2, target_modules=["q_proj"])),
    "DoRA of GPT-2": (gpt2, peft.LoraConfig(r=4, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True,
                                            use_dora=True)),
    "PiSSA": (llama, peft.LoraConfig(r=4, lora_alpha=6, init_lora_weights="pissa", target_modules=LLAMA)),
    "OLoRA": (llama, peft.LoraConfig(r=3, lora_alpha=5, init_lora_weights="olora", target_modules=LLAMA)),
    "PiSSA of unlike ranks": (llama, peft.LoraConfig(r=2, use_rslora=True, rank_pattern={"v_proj": 5},
                                                     target_modules=LLAMA, init_lora_weights="pissa")),
    "LoKr with a head": (bert, peft.LoKrConfig(r=3, alpha=6, target_modules=["query", "value"], task_type="SEQ_CLS",
                                               init_weights=False)),
}  # fmt: skip


def outputs(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(TOKENS)[0]


def advised_rank(adapter: Path) -> int:
    """The rank that the check of configs advises to convert an adapter with that changes its base, 0 for none."""
    answer = changes_base(Folder(files_in(adapter)))
    match = None if isinstance(answer, str) else re.search(r"--to peft-lora --rank (\d+)", answer.fix)
    return int(match[1]) if match else 0


def prove(name: str, folder: Path) -> None:
    make, config = CASES[name]
    torch.manual_seed(5)
    base = make()
    base.save_pretrained(folder / f"{name}-base")
    plain = outputs(base)
    state = {key: value.clone() for key, value in base.state_dict().items()}
    adapted = get_peft_model(base, config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    adapted.save_pretrained(folder / name)
    expected = outputs(adapted)

    def of_rank(rank: int) -> tuple[torch.Tensor, dict[str, Any]]:
        made = folder / f"{name}-{rank}"
        conversion = convert(files_in(folder / name), "peft-lora", base_files=files_in(folder / f"{name}-base"),
                             settings=Settings(rank=rank), changes=changes)  # fmt: skip
        conversion.write(made)
        own = make()
        own.load_state_dict(state)
        model = PeftModel.from_pretrained(own, made)
        assert json.loads((made / "adapter_config.json").read_text())["peft_type"] == "LORA"
        return outputs(model), conversion.facts()

    exact, facts = of_rank(96)
    assert (expected - plain).abs().max() > 1e-2, (name, (expected - plain).abs().max())
    assert (exact - expected).abs().max() < 1e-3, (name, (exact - expected).abs().max())
    assert facts["lost"] < 1e-3, (name, facts)
    if advised := advised_rank(folder / name):
        exact, facts = of_rank(advised)
        assert (exact - expected).abs().max() < 1e-4, (name, advised, (exact - expected).abs().max())
        assert facts["lost"] < 1e-4, (name, facts)
    _, facts = of_rank(2)
    assert name == "VBLoRA" or 0.1 < facts["lost"] < 0.95, (name, facts)  # which has the rank 2 itself
    print(name)


if __name__ == "__main__":
    for case in CASES:
        prove(case, Path(sys.argv[1]))
