"""A script as people have them: base and adapter by name, the Trainer, and one address for all of it.

`train` pushes an adapter of the base, `load` uses what passed in another process.
"""

import sys

import torch
from peft import AutoPeftModelForSequenceClassification, LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

verb, base_id, repository_id, folder = sys.argv[1:]
TEXTS = ["I like it", "I do not like it", "Good", "Bad"]


def train() -> None:
    tokenizer = AutoTokenizer.from_pretrained(base_id)
    base = AutoModelForSequenceClassification.from_pretrained(base_id, num_labels=2)
    model = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query", "value"]))
    tokens = tokenizer(TEXTS, padding=True)
    rows = [
        {"labels": at % 2, **{key: torch.tensor(value[at]) for key, value in tokens.items()}}
        for at in range(len(TEXTS))
    ]
    arguments = TrainingArguments(
        folder, max_steps=2, per_device_train_batch_size=2, report_to=[], use_cpu=True, save_strategy="no",
        learning_rate=0.01, hub_model_id=repository_id,
    )  # fmt: skip
    trainer = Trainer(model, arguments, train_dataset=rows)
    trainer.train()
    trainer.push_to_hub()


def load() -> None:
    model = AutoPeftModelForSequenceClassification.from_pretrained(repository_id, revision="verified", num_labels=2)
    tokens = AutoTokenizer.from_pretrained(base_id)(TEXTS, padding=True, return_tensors="pt")
    assert model.peft_config["default"].base_model_name_or_path == base_id
    with torch.no_grad():
        assert model(**tokens).logits.shape == (len(TEXTS), 2)


{"train": train, "load": load}[verb]()
print("fine")
