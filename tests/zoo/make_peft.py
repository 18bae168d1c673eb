"""Makes PEFT adapters as strangers do: peft and transformers alone, trained for some steps; run by an engine's Python.

.engines/e5/bin/python tests/zoo/make_peft.py BASES OUT [NAME …]     writes OUT/<name>/ and OUT/specimens.jsonl

What is expected of each is written beside it: "" where it must pass, else the one check that must refuse it.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import torch
import transformers as t
from peft import get_peft_model
from writing import main  # beside this script, which its interpreter runs by its path

ENGINE = Path(sys.prefix).name
WORDS = {"good": 1, "fine": 1, "great": 1, "bad": 0, "poor": 0, "awful": 0}
NOUNS = ("film", "book", "meal", "room", "cat", "dog")
MODELS = {
    "SEQ_CLS": t.AutoModelForSequenceClassification,
    "TOKEN_CLS": t.AutoModelForTokenClassification,
    "QUESTION_ANS": t.AutoModelForQuestionAnswering,
    "CAUSAL_LM": t.AutoModelForCausalLM,
    "SEQ_2_SEQ_LM": t.AutoModelForSeq2SeqLM,
    "FEATURE_EXTRACTION": t.AutoModel,
    "MASKED_LM": t.AutoModelForMaskedLM,
    "IMAGE": t.AutoModelForImageClassification,
}
PAIRS = {
    "SEQ_CLS": "text-classification", "TOKEN_CLS": "token-classification", "QUESTION_ANS": "question-answering",
    "CAUSAL_LM": "text-generation", "SEQ_2_SEQ_LM": "text2text-generation", "FEATURE_EXTRACTION": "feature-extraction",
    "MASKED_LM": "fill-mask", "IMAGE": "image-classification",
}  # fmt: skip


@dataclass
class Made:
    """One adapter to make: on which base, for which model, with which config, and what happens around saving."""

    base: str
    task: str
    config: Callable[[], Any]
    why: str = ""
    model: dict[str, Any] = field(default_factory=dict)  # more arguments of from_pretrained
    before: Callable[[Any], Any] = lambda model: model  # what is done to the base model first
    after: Callable[[Any], Any] = lambda model: model  # what is done to the trained adapter
    save: dict[str, Any] = field(default_factory=dict)
    files: Callable[[Any, Path, Any], None] = lambda model, folder, tokenizer: None
    expected: dict[str, str] = field(default_factory=dict)  # by engine, where it is not ""
    rows: bool = False
    steps: int = 6
    card: dict[str, Any] = field(default_factory=dict)


ALL: dict[str, Made] = {}


def add(name: str, base: str, task: str, config: Callable[[], Any], why: str = "", **more: Any) -> None:
    assert name not in ALL, name
    ALL[name] = Made(base, task, config, why, **more)


# --- training --------------------------------------------------------------------------------------------------------
def sentences() -> tuple[list[str], torch.Tensor]:
    pairs = list(product(NOUNS, WORDS.items()))
    return [f"the {noun} was {word}" for noun, (word, _) in pairs], torch.tensor([label for _, (_, label) in pairs])


def batch_of(made: Made, model: Any, tokenizer: Any) -> dict[str, Any]:
    if made.task == "IMAGE":
        return {"pixel_values": torch.randn(4, 3, 16, 16), "labels": torch.tensor([0, 1, 0, 1])}
    texts, labels = sentences()
    batch = dict(tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False))
    ids = batch["input_ids"]
    if made.task == "SEQ_CLS":
        if model.config.num_labels == 1 or model.config.problem_type == "multi_label_classification":
            labels = torch.nn.functional.one_hot(labels, max(2, model.config.num_labels)).float()
            labels = labels[:, : model.config.num_labels]
        batch["labels"] = labels
    elif made.task == "TOKEN_CLS":
        batch["labels"] = (ids % 2) * batch["attention_mask"]
    elif made.task == "QUESTION_ANS":
        batch |= {
            "start_positions": torch.ones(len(ids), dtype=torch.long),
            "end_positions": torch.full((len(ids),), 3),
        }
    elif made.task != "FEATURE_EXTRACTION":
        batch["labels"] = ids.clone()
    return batch


def train(made: Made, model: Any, tokenizer: Any) -> None:
    batch = batch_of(made, model.get_base_model() if hasattr(model, "get_base_model") else model, tokenizer)
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(wanted, lr=0.05 if made.rows else 0.02)
    for _ in range(made.steps):
        answer = model(**batch)
        loss = answer.loss if "loss" in answer and answer.loss is not None else answer.last_hidden_state.pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def make(made: Made, name: str, bases: Path, out: Path) -> None:
    torch.manual_seed(len(name))
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    source = bases / made.base
    model = MODELS[made.task].from_pretrained(source, **made.model)
    # Whoever trains from the Hub has its id in the model, and so in the config of the adapter.
    model.name_or_path = model.config._name_or_path = f"zoo/{made.base}"
    tokenizer = None if made.task == "IMAGE" else t.PreTrainedTokenizerFast.from_pretrained(source)
    if tokenizer is not None and model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    model = made.before(model)
    model = get_peft_model(model, made.config())
    train(made, model, tokenizer)
    model = made.after(model)
    model.save_pretrained(folder, **made.save)
    facts = {"license": "apache-2.0", "base_model": f"zoo/{made.base}", "library_name": "peft",
             "pipeline_tag": PAIRS[made.task], **made.card}  # fmt: skip
    (folder / "README.md").write_text(f"---\n{json.dumps(facts, indent=1)}\n---\n# {name}\n")
    if made.rows:
        texts, labels = sentences()
        rows = [{"text": text, "label": label} for text, label in zip(texts, labels.tolist(), strict=True)]
        (folder / "smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made.files(model, folder, tokenizer)


if __name__ == "__main__":
    main(ALL, make)
