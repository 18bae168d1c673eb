"""Loads a pulled adapter with stock PEFT and lets the base alone and the adapter judge two sentences it has never seen.

.engines/e5/bin/python demo/predict.py ADAPTER_DIR BASE_DIR      status 0 when the adapter is right about both
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

LABELS = ("negative", "positive")
SENTENCES = {"What a delightful evening, we loved every minute.": 1, "The soup was cold and the waiter was rude.": 0}


def main(adapter: str, base: str) -> int:
    disable_progress_bar()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(base)
    frozen = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    model = PeftModel.from_pretrained(frozen, adapter).eval()
    right = 0
    for text, label in SENTENCES.items():
        inputs = tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            with model.disable_adapter():
                alone = said(model(**inputs).logits[0])
            together = said(model(**inputs).logits[0])
        right += together[0] == label
        print(f"  {text!r}\n    base alone {words(alone)}\n    adapter    {words(together)}")
    return 0 if right == len(SENTENCES) else 1


def said(logits: Any) -> tuple[int, float]:
    """Return the label and how sure of it the model is."""
    chances = logits.softmax(-1)
    return int(chances.argmax()), float(chances.max())


def words(answer: tuple[int, float]) -> str:
    return f"{LABELS[answer[0]]} ({answer[1]:.0%})"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
