"""Saves compositions of the adapters library on the tiny BERT, one of each block; run by engine e4's interpreter.

.engines/e4/bin/python tests/engine/make_compositions.py BERT DIR     writes DIR/<name>/ as save_adapter_setup() does
"""

import json
import sys
from itertools import product
from pathlib import Path

import adapters.composition as ac
import adapters.configuration as methods
import torch
from adapters import AutoAdapterModel
from transformers import PreTrainedTokenizerFast

NAMES = {"good": "glad", "fine": "glad", "great": "glad", "bad": "sad", "poor": "sad", "awful": "sad"}
LABELS = {"sad": 0, "glad": 1}
NOUNS = ("film", "book", "meal", "room")
SMALL = methods.SeqBnConfig(reduction_factor=4)
SETUPS = {  # the set-up and its head
    "stack": (ac.Stack("lang", "task"), "task"),
    "fuse": (ac.Fuse("one", "two"), "judge"),
    "stack_fuse": (ac.Stack("lang", ac.Fuse("one", "two")), "judge"),
    "average": (ac.Average("one", "two", weights=[0.25, 0.75]), "judge"),
    "parallel": (ac.Parallel("one", "two"), ["one", "two"]),
    "stack_parallel": (ac.Stack("lang", ac.Parallel("one", "two")), None),
    "split": (ac.Split("one", "two", splits=[3, 5]), None),
    "batch_split": (ac.BatchSplit("one", "two", batch_sizes=[2, 3]), None),
    "loras": (ac.Stack("low", "task"), "task"),
}


def rows():
    return [{"text": f"the {noun} was {word}", "label": label} for noun, (word, label) in product(NOUNS, NAMES.items())]


def main(bert: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(3)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(bert)
    texts, labels = zip(*((row["text"], LABELS[row["label"]]) for row in rows()), strict=True)
    batch = dict(tokenizer(list(texts), padding=True, return_tensors="pt", return_token_type_ids=False))
    for name, (setup, head) in SETUPS.items():
        model = made(bert)
        if head in ("judge", "task"):
            train(model, setup, head, batch, torch.tensor(labels))
        if name != "stack_fuse":
            model.delete_adapter_fusion("one,two") if "fuse" not in name else None
        save(model, folder / name, setup, head)
    fusions(bert, folder)


def made(bert: Path):
    model = AutoAdapterModel.from_pretrained(bert)
    model.add_adapter("lang", config=methods.SeqBnInvConfig(reduction_factor=4))
    model.add_adapter("low", config=methods.LoRAConfig(r=4, alpha=8))
    for name in ("one", "two", "task"):
        model.add_adapter(name, config=SMALL)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if any(f".{name}." in key for name in ("lang", "low", "one", "two", "task")):
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.add_adapter_fusion(["one", "two"], config="dynamic")
    for name in ("one", "two", "task", "judge"):
        model.add_classification_head(name, num_labels=2, id2label={at: label for label, at in LABELS.items()})
    return model


def train(model, setup, head, batch, labels) -> None:
    """The adapters of the set-up, its fusion and its head, until they tell glad from sad."""
    model.set_active_adapters(setup)
    model.active_head = head
    wanted = [f".{name}." for name in (*setup.flatten(), "one,two", head)]
    trained = [p.requires_grad_() for key, p in model.named_parameters() if any(name in f"{key}." for name in wanted)]
    optimiser = torch.optim.AdamW(trained, lr=0.01)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model.eval()(**batch).logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def save(model, folder: Path, setup, head) -> None:
    model.save_adapter_setup(str(folder), setup, head_setup=head, use_safetensors=True)
    named(folder)
    if isinstance(head, str):
        (folder / "smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))


def fusions(bert: Path, folder: Path) -> None:
    """A fusion at the top: with its adapters in folders beside it, and without."""
    for name in ("fusion", "bare_fusion"):
        model = made(bert)
        (folder / name).mkdir(parents=True)
        model.save_adapter_fusion(str(folder / name), "one,two", use_safetensors=True, with_head=False)
        for adapter in ("one", "two") if name == "fusion" else ():
            model.save_adapter(str(folder / name / adapter), adapter, use_safetensors=True, with_head=False)
        named(folder / name)


def named(folder: Path) -> None:
    for config in folder.rglob("*_config.json"):
        config.write_text(json.dumps(json.loads(config.read_text()) | {"model_name": "tiny/bert"}))


main(Path(sys.argv[1]), Path(sys.argv[2]))
