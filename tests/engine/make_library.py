"""Trains adapters of the adapters library on the tiny BERT, one of each method; run by engine e4's interpreter.

.engines/e4/bin/python tests/engine/make_library.py BERT DIR [METHOD …]
    writes DIR/<method>/ and DIR/pickled/<method>/ with head and rows
"""

import json
import sys
from itertools import product
from pathlib import Path

import adapters.configuration as methods
import torch
from adapters import AutoAdapterModel, init
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedTokenizerFast

NAMES = {"good": "glad", "fine": "glad", "great": "glad", "bad": "sad", "poor": "sad", "awful": "sad"}
LABELS = {"sad": 0, "glad": 1}
NOUNS = ("film", "book", "meal", "room", "cat", "dog")

BOTTLENECK = {"reduction_factor": 4}
PREFIX = {"prefix_length": 5, "bottleneck_size": 16}
METHODS = {
    "seq_bn": methods.SeqBnConfig(**BOTTLENECK),
    "double_seq_bn": methods.DoubleSeqBnConfig(**BOTTLENECK),
    "par_bn": methods.ParBnConfig(**BOTTLENECK),
    "scaled_par_bn": methods.ParBnConfig(**BOTTLENECK, scaling="learned"),
    "seq_bn_inv": methods.SeqBnInvConfig(**BOTTLENECK),
    "double_seq_bn_inv": methods.DoubleSeqBnInvConfig(**BOTTLENECK),
    "compacter": methods.CompacterConfig(**BOTTLENECK, phm_dim=2),
    "compacter_plus": methods.CompacterPlusPlusConfig(**BOTTLENECK, phm_dim=4),
    "lora": methods.LoRAConfig(r=4, alpha=8),
    "dora": methods.DoRAConfig(r=4, alpha=8),
    "vera": methods.VeraConfig(),
    "dvora": methods.DvoRAConfig(),
    "mtl_lora": methods.MTLLoRAConfig(r=4),
    "ia3": methods.IA3Config(),
    "loreft": methods.LoReftConfig(),
    "noreft": methods.NoReftConfig(),
    "direft": methods.DiReftConfig(),
    "prompt": methods.PromptTuningConfig(prompt_length=5),
    "prefix": methods.PrefixTuningConfig(**PREFIX),
    "prefix_flat": methods.PrefixTuningConfig(prefix_length=5, flat=True),
    "mam": methods.MAMConfig(methods.PrefixTuningConfig(**PREFIX), methods.ParBnConfig(**BOTTLENECK)),
    "unipelt": methods.UniPELTConfig(
        methods.PrefixTuningConfig(**PREFIX), methods.SeqBnConfig(**BOTTLENECK), methods.LoRAConfig(r=4, alpha=2)
    ),
}
WITHOUT_HEAD = ("seq_bn_inv", "double_seq_bn_inv")  # language adapters come without one


def rows() -> list[dict[str, str]]:
    return [{"text": f"the {noun} was {word}", "label": label} for noun, (word, label) in product(NOUNS, NAMES.items())]


def main(bert: Path, folder: Path, wanted: list[str]) -> None:
    torch.set_num_threads(1)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(bert)
    texts, labels = zip(*((row["text"], LABELS[row["label"]]) for row in rows()), strict=True)
    batch = dict(tokenizer(list(texts), padding=True, return_tensors="pt", return_token_type_ids=False))
    for name, method in ((name, METHODS[name]) for name in wanted or METHODS):
        torch.manual_seed(3)
        train(bert, folder / name, name, method, batch, torch.tensor(labels))
    if not wanted:
        of_other_classes(bert, folder)


def of_other_classes(bert: Path, folder: Path) -> None:
    """Adapters that were made on transformers' own classes: one with its fixed head, one without the base's prefix."""
    for name, kind in {"fixed_head": AutoModelForSequenceClassification, "bare": AutoModel}.items():
        model = kind.from_pretrained(bert)
        init(model)
        model.add_adapter(name, config=METHODS["seq_bn"])
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                parameter.add_(0.3 * torch.randn_like(parameter) if f".{name}." in key else 0)
        save(model, folder / name, name, with_head=name != "bare")
        (folder / name / "smoke.jsonl").unlink(missing_ok=True)


def train(bert, folder, name, method, batch, labels) -> None:
    model = AutoAdapterModel.from_pretrained(bert)
    called = f"a_{name}"  # a module may not be called like one there is: "double" is one
    model.add_adapter(called, config=method)
    model.add_classification_head(called, num_labels=2, id2label={at: label for label, at in LABELS.items()})
    model.train_adapter(called)
    # The orthogonal matrix of LoReFT becomes zero in its first step with torch 2.13: it stays as it began.
    trained = [p for key, p in model.named_parameters() if p.requires_grad and "parametrizations" not in key]
    optimiser = torch.optim.AdamW(trained, lr=0.02)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model.eval()(**batch).logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    save(model, folder, called, with_head=name not in WITHOUT_HEAD)


def save(model, folder, called, with_head) -> None:
    folder.mkdir(parents=True)
    unsafe = folder.parent / "pickled" / folder.name  # as the library saves it unless it is told otherwise
    unsafe.parent.mkdir(exist_ok=True)
    model.save_adapter(str(unsafe), called, with_head=with_head)
    try:
        model.save_adapter(str(folder), called, use_safetensors=True, with_head=with_head)
    except (
        RuntimeError
    ):  # the library cannot write a prefix, which each layer knows by one more name: those are left out
        model.save_adapter(str(folder), called, with_head=with_head)
        for pickled, safe in (
            ("pytorch_adapter.bin", "adapter.safetensors"),
            ("pytorch_model_head.bin", "model_head.safetensors"),
        ):
            tensors = torch.load(folder / pickled, weights_only=True)
            save_file({key: t.clone() for key, t in tensors.items() if ".pool." not in key}, folder / safe)
            (folder / pickled).unlink()
    for place in (folder, unsafe):
        for config in place.glob("*.json"):
            config.write_text(json.dumps(json.loads(config.read_text()) | {"model_name": "tiny/bert"}))
        if with_head:
            (place / "smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))


main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
