"""Trains a small adapter for every task on tiny bases, each with rows that it does better than its base.

.engines/e5/bin/python tests/engine/make_measured.py BASES DIR     writes DIR/<task>/ for PEFT
.engines/e4/bin/python tests/engine/make_measured.py BASES DIR     writes BASES/filler, a base that fills in words, and
                                                                  DIR/language/ for the adapters library
"""

import json
import sys
from itertools import product
from pathlib import Path

import torch
import transformers

NOUNS = ("film", "book", "meal", "room")
WORDS = {"good": 1, "great": 1, "fine": 1, "bad": 0, "poor": 0, "awful": 0}
TEXTS = [f"the {noun} was {word}" for noun, word in product(NOUNS, WORDS)]
FEELING = list(WORDS.values()) * len(NOUNS)
THINGS = ("dog", "cat", "sun", "sea")
TAGS = {"O": 0, "THING": 1, "FEELING": 2}
STEPS = 120


def tag(word):
    return "THING" if word in (*NOUNS, *THINGS) else "FEELING" if word in WORDS else "O"


def rows(task):
    if task == "SEQ_CLS":
        return [{"text": text, "label": label} for text, label in zip(TEXTS, FEELING, strict=True)]
    if task == "SCORE":
        return [{"text": text, "label": 0.5 + label} for text, label in zip(TEXTS, FEELING, strict=True)]
    if task == "TOKEN_CLS":
        return [{"tokens": text.split(), "labels": [tag(word) for word in text.split()]} for text in TEXTS]
    if task == "QUESTION_ANS":
        pairs = [(noun, word, other) for noun, word in product(NOUNS, WORDS) for other in ("dog", "sea")]
        return [
            {"question": f"what was {word}", "context": f"the {other} and the {noun} was {word}", "answers": [noun]}
            for noun, word, other in pairs
        ]
    if task == "SEQ_2_SEQ_LM":
        return [{"text": text, "target": f"it is {'good' if label else 'bad'}"} for text, label in
                zip(TEXTS, FEELING, strict=True)]  # fmt: skip
    if task == "FEATURE_EXTRACTION":
        glad, sad = (([t for t, label in zip(TEXTS, FEELING, strict=True) if label == want]) for want in (1, 0))
        return [{"anchor": a, "positive": b, "negative": c} for a, b, c in zip(glad, glad[5:], sad, strict=False)]
    return [{"text": text} for text in TEXTS]


def loss_of(task, model, tokenizer, found):
    def ids(texts, *pairs):
        return tokenizer(texts, *pairs, padding=True, return_tensors="pt", return_token_type_ids=False)

    if task in ("SEQ_CLS", "SCORE"):
        labels = torch.tensor([row["label"] for row in found])
        said = model(**ids([row["text"] for row in found])).logits
        if task == "SCORE":
            return torch.nn.functional.mse_loss(said[:, 0], labels)
        return torch.nn.functional.cross_entropy(said, labels)
    if task == "TOKEN_CLS":  # one piece a word, after [CLS]
        batch = ids([" ".join(row["tokens"]) for row in found])
        said = model(**batch).logits[:, 1 : 1 + len(found[0]["tokens"])]
        return torch.nn.functional.cross_entropy(
            said.flatten(0, 1), torch.tensor([TAGS[label] for row in found for label in row["labels"]])
        )
    if task == "QUESTION_ANS":
        batch = ids([row["question"] for row in found], [row["context"] for row in found])
        said = model(**batch)
        place = torch.tensor([5 + row["context"].split().index(row["answers"][0]) for row in found])
        return sum(torch.nn.functional.cross_entropy(one, place) for one in (said.start_logits, said.end_logits))
    if task == "FEATURE_EXTRACTION":
        vectors = []
        for key in ("anchor", "positive", "negative"):
            batch = ids([row[key] for row in found])
            vectors.append(model(**batch).last_hidden_state.mean(1))
        near, far = (torch.cosine_similarity(vectors[0], other) for other in vectors[1:])
        return torch.nn.functional.relu(0.5 + far - near).mean()
    if task == "SEQ_2_SEQ_LM":
        labels = ids([row["target"] for row in found])["input_ids"]
        return model(**ids([row["text"] for row in found]), labels=labels).loss
    batch = ids([row["text"] for row in found])
    return model(**batch, labels=batch["input_ids"]).loss


TASKS = {  # base, class, labels, LoRA's targets
    "SEQ_CLS": ("bert", transformers.AutoModelForSequenceClassification, 2),
    "SCORE": ("bert", transformers.AutoModelForSequenceClassification, 1),
    "TOKEN_CLS": ("bert", transformers.AutoModelForTokenClassification, 3),
    "QUESTION_ANS": ("bert", transformers.AutoModelForQuestionAnswering, 2),
    "FEATURE_EXTRACTION": ("bert", transformers.AutoModel, 0),
    "CAUSAL_LM": ("llama", transformers.AutoModelForCausalLM, 0),
    "SEQ_2_SEQ_LM": ("t5", transformers.AutoModelForSeq2SeqLM, 0),
}
TARGETS = {"bert": ["query", "value", "dense"], "llama": "all-linear", "t5": "all-linear"}


def train(bases, folder, task):
    from peft import LoraConfig, get_peft_model

    base, kind, labels = TASKS[task]
    torch.manual_seed(0)
    model = kind.from_pretrained(bases / base, **({"num_labels": labels} if labels else {}))
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(bases / base)
    model.config.pad_token_id = 0
    named = "SEQ_CLS" if task == "SCORE" else task
    model = get_peft_model(model, LoraConfig(task_type=named, r=8, lora_alpha=16, target_modules=TARGETS[base]))
    found = rows(task)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(STEPS):
        loss = loss_of(task, model.eval(), tokenizer, found)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    place = folder / task
    model.save_pretrained(place)
    config = json.loads((place / "adapter_config.json").read_text())
    (place / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": f"tiny/{base}"}))
    (place / "smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    (place / "README.md").unlink(missing_ok=True)
    print(task, round(loss.item(), 3))


def train_language(bases, folder):
    """A base that fills in words, and a language adapter that does so better for the rows."""
    import adapters
    from adapters import AutoAdapterModel

    torch.manual_seed(1)
    config = transformers.BertConfig.from_pretrained(bases / "bert")
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(bases / "bert")
    transformers.BertForMaskedLM(config).save_pretrained(bases / "filler")
    tokenizer.save_pretrained(bases / "filler")
    model = AutoAdapterModel.from_pretrained(bases / "filler")
    model.add_adapter("tongue", config=adapters.SeqBnInvConfig(reduction_factor=2))
    model.train_adapter("tongue")
    model.active_head = "default"
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt", return_token_type_ids=False)
    optimiser = torch.optim.AdamW([p for key, p in model.named_parameters() if "tongue" in key], lr=0.01)
    for step in range(2 * STEPS):
        hidden = torch.rand(batch["input_ids"].shape, generator=torch.Generator().manual_seed(step)) < 0.3
        said = model.eval()(batch["input_ids"].masked_fill(hidden, tokenizer.mask_token_id)).logits
        loss = torch.nn.functional.cross_entropy(said[hidden], batch["input_ids"][hidden])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    place = folder / "language"
    place.mkdir(parents=True)
    model.save_adapter(str(place), "tongue", use_safetensors=True, with_head=False)
    said = json.loads((place / "adapter_config.json").read_text())
    (place / "adapter_config.json").write_text(json.dumps(said | {"model_name": "tiny/filler"}))
    (place / "smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows("MASKED_LM")))
    print("language", round(loss.item(), 3))


def main(bases: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    if "e4" in Path(sys.prefix).name:
        train_language(bases, folder)
        return
    for task in TASKS:
        train(bases, folder, task)


main(Path(sys.argv[1]), Path(sys.argv[2]))
