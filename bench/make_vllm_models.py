"""Makes a tiny base and trains adapters on it; run by an engine's interpreter, since it needs torch and peft.

.engines/e5/bin/python -P bench/make_vllm_models.py DIR COUNT      writes DIR/base and DIR/adapter-0, DIR/adapter-1 …
"""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = ["[PAD]", "[UNK]", *(f"w{number}" for number in range(126))]
BASE_ID = "bench/tiny-llama"
STEPS = 40


def base(folder: Path) -> LlamaForCausalLM:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        initializer_range=0.1,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    return model


def train(folder: Path, place: Path, number: int) -> None:
    """Train a LoRA to answer every prompt by a row of words of its own."""
    torch.manual_seed(number)
    model = LlamaForCausalLM.from_pretrained(folder)
    config = LoraConfig(
        r=8, lora_alpha=32, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM"
    )
    tuned = get_peft_model(model, config)
    tuned.peft_config["default"].base_model_name_or_path = BASE_ID
    row = torch.arange(10 + 20 * number, 26 + 20 * number).unsqueeze(0)
    optimizer = torch.optim.AdamW(tuned.parameters(), lr=1e-2)
    for _ in range(STEPS):
        loss = tuned(input_ids=row, labels=row).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    tuned.save_pretrained(place)
    (place / "README.md").write_text(f"---\nbase_model: {BASE_ID}\nlicense: apache-2.0\n---\n# Adapter {number}\n")


if __name__ == "__main__":
    home = Path(sys.argv[1])
    base(home / "base")
    for count in range(int(sys.argv[2])):
        train(home / "base", home / f"adapter-{count}", count)
