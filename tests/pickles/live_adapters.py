"""Trains adapters on a base and saves them as their libraries do, or loads them from a hub; run by engine e4.

live_adapters.py make BASE FOLDER     writes FOLDER/<name>/ and FOLDER/<name>.logits
live_adapters.py load BASE FOLDER     loads alice/saved-<name> from HF_ENDPOINT; prints each whose logits are the same
"""

import json
import sys
from pathlib import Path

import torch
from adapters import AutoAdapterModel, MAMConfig, ParBnConfig, PrefixTuningConfig, SeqBnConfig
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer

BASE_ID = "sentence-transformers/all-MiniLM-L6-v2"
TEXTS = ["a wonderful film", "a terrible film", "great book", "awful book", "good food", "bad food"]
LABELS = torch.tensor([1, 0] * 3)
NARROW = {"reduction_factor": 16}
METHODS = {  # and whether it is saved as safetensors
    "bottleneck": (SeqBnConfig(**NARROW), True),
    "mam": (MAMConfig(PrefixTuningConfig(prefix_length=5, bottleneck_size=32), ParBnConfig(**NARROW)), False),
}


def trained(model, batch):
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=5e-3)
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(model.eval()(**batch).logits, LABELS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def make(base, folder, batch):
    for name, (method, is_safe) in METHODS.items():
        torch.manual_seed(0)
        model = AutoAdapterModel.from_pretrained(base)
        model.add_adapter(name, config=method)
        model.add_classification_head(name, num_labels=2)
        model.train_adapter(name)
        trained(model, batch).save_adapter(str(folder / name), name, use_safetensors=is_safe)
        torch.save(logits(model, batch), folder / f"{name}.logits")
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    model = trained(get_peft_model(model, LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"])), batch)
    model.save_pretrained(str(folder / "lora"), safe_serialization=False)
    (folder / "lora" / "README.md").unlink()
    torch.save(logits(model, batch), folder / "lora.logits")
    for config in folder.glob("*/adapter_config.json"):
        said = json.loads(config.read_text())
        key = "base_model_name_or_path" if "peft_type" in said else "model_name"
        config.write_text(json.dumps(said | {key: BASE_ID}))


def load(base, folder, batch):
    for name in METHODS:
        model = AutoAdapterModel.from_pretrained(base)
        model.load_adapter(f"alice/saved-{name}", set_active=True)
        tell(name, model, folder, batch)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    tell("lora", PeftModel.from_pretrained(model, "alice/saved-lora"), folder, batch)


def tell(name, model, folder, batch):
    if torch.equal(logits(model, batch), torch.load(folder / f"{name}.logits", weights_only=True)):
        print(f"same: {name}")


def logits(model, batch):
    with torch.no_grad():
        return model.eval()(**batch).logits.clone()


def main(act, base, folder):
    torch.set_num_threads(1)
    batch = AutoTokenizer.from_pretrained(base)(TEXTS, padding=True, return_tensors="pt")
    {"make": make, "load": load}[act](base, Path(folder), dict(batch))


main(*sys.argv[1:])
