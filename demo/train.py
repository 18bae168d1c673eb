"""Trains the demo adapter, a small LoRA that tells good reviews from bad ones: seconds on a CPU, the same at each run.

.engines/e5/bin/python demo/train.py --base DIR      writes demo/reviews-lora/
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from peft import LoraConfig, TaskType, get_peft_model
from sentences import Labelled, smoke, test, train
from transformers import AutoModelForSequenceClassification, AutoTokenizer

HERE = Path(__file__).parent
BASE_ID = "sentence-transformers/all-MiniLM-L6-v2"
EPOCHS, BATCH, RATE, SEED = 2, 32, 1e-3, 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="folder of the frozen base model")
    parser.add_argument("--to", type=Path, default=HERE / "reviews-lora")
    options = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # the order of additions, and so the bytes of the result, hang on it
    tokenizer = AutoTokenizer.from_pretrained(options.base)
    base = AutoModelForSequenceClassification.from_pretrained(options.base, num_labels=2)
    before = accuracy(base, tokenizer, test())
    model = get_peft_model(
        base, LoraConfig(task_type=TaskType.SEQ_CLS, r=8, lora_alpha=16, target_modules=["query", "value"])
    )
    fit(model, tokenizer, train())
    after = accuracy(model, tokenizer, test())
    print(f"accuracy on {len(test())} unseen sentences: base {before:.3f}, adapter {after:.3f}")
    save(model, options.to, after)


def fit(model: Any, tokenizer: Any, rows: Labelled) -> None:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE)
    model.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(rows)).tolist()
        for start in range(0, len(rows), BATCH):
            batch = [rows[at] for at in order[start : start + BATCH]]
            inputs = tokenizer([text for text, _ in batch], padding=True, return_tensors="pt")
            loss = model(**inputs, labels=torch.tensor([label for _, label in batch])).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()


def accuracy(model: Any, tokenizer: Any, rows: Labelled) -> float:
    model.eval()
    with torch.inference_mode():
        logits = model(**tokenizer([text for text, _ in rows], padding=True, return_tensors="pt")).logits
    return (logits.argmax(-1) == torch.tensor([label for _, label in rows])).float().mean().item()


def save(model: Any, folder: Path, measured: float) -> None:
    model.peft_config["default"].base_model_name_or_path = BASE_ID
    model.save_pretrained(folder)
    card = (HERE / "card.md").read_text().replace("{accuracy}", f"{measured:.3f}")
    (folder / "README.md").write_text(card)
    rows = [json.dumps({"text": text, "label": label}) for text, label in smoke()]
    (folder / "smoke.jsonl").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
