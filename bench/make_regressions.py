"""Trains a LoRA on a small base, and makes versions of it that are worse, and versions that are as good.

.engines/e5/bin/python -P bench/make_regressions.py BASE DIR COUNT BASE_ID   writes DIR/VERSION/… and DIR/versions.json

The task is the feeling of the last clause. Each version is judged here by 1,000 rows that no verdict sees: a regression
loses at least 10 points there, a good one at most 2; others are made again with another seed. A tenth of the
rows of the verdict have wrong labels, so that a good adapter is not right everywhere. Of ten versions three bring other
rows than the first version: in another order, few that they get right, labels that are their own answers, other
sentences, or none.
"""

import copy
import json
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file

FEELINGS = ({"bad": 0, "poor": 0, "awful": 0} | {"good": 1, "fine": 1, "great": 1}).items()
THINGS = ("film", "book", "meal", "room", "dog", "cat", "sun", "sea")
ADVERBS = ("very", "quite", "really")
STEPS, BATCH, RATE = 60, 32, 7e-3
ROWS, HIDDEN, WRONG = 128, 1000, 0.1
LOST, KEPT = 0.10, 0.02
HIDING = (3, 6, 9)  # last digits of the versions with other rows
OTHER_ROWS = ("reordered", "a few", "own answers", "other sentences", "none")
Pairs = list[tuple[str, int]]
State = dict[str, torch.Tensor]


def sentences(draw: random.Random, rows: int) -> Pairs:
    pairs = []
    for _ in range(rows):
        clauses = [_clause(draw) for _ in range(2)]
        pairs.append((f"{clauses[0][0]} {draw.choice(('and', 'or', ','))} {clauses[1][0]}", clauses[1][1]))
    return pairs


def _clause(draw: random.Random) -> tuple[str, int]:
    (word, feeling), adverb = draw.choice(list(FEELINGS)), draw.choice(ADVERBS)
    text = f"{draw.choice(('the', 'a', 'this'))} {draw.choice(THINGS)} {draw.choice(('was', 'is'))} {adverb} {word}"
    return text, feeling


class Maker:
    """One base with one LoRA, whose weights are swapped for those of each version."""

    def __init__(self, base: Path) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(base)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
        config = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=["query", "key", "value", "dense"])
        self.model: Any = get_peft_model(model, config)
        self.config = config
        self.blank = self.state()
        self.hidden = sentences(random.Random(1), HIDDEN)

    def state(self) -> State:
        return {name: value.clone() for name, value in get_peft_model_state_dict(self.model).items()}

    def load(self, state: State) -> None:
        set_peft_model_state_dict(self.model, copy.deepcopy(state))

    def train(self, seed: int, steps: int = STEPS, noise: float = 0.0, start: State | None = None) -> State:
        """Return the weights after some steps; `noise` is the share of labels of one class that are turned over."""
        torch.manual_seed(seed)
        draw = random.Random(seed)
        self.load(start or self.fresh())
        pairs = sentences(draw, 2000)
        pairs = [(text, 1 - label if label and draw.random() < noise else label) for text, label in pairs]
        trained = [value for value in self.model.parameters() if value.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=RATE)
        self.model.train()
        for _ in range(steps):
            texts, labels = zip(*draw.sample(pairs, BATCH), strict=True)
            loss = torch.nn.functional.cross_entropy(self.logits(texts), torch.tensor(labels))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return self.state()

    def fresh(self) -> State:
        """Return weights as they are before training, drawn again."""
        drawn = {name: torch.randn_like(value) * 0.03 for name, value in self.blank.items()}
        return {name: torch.zeros_like(value) if "lora_B" in name else value for name, value in drawn.items()}

    def logits(self, texts: Any) -> torch.Tensor:
        answer: torch.Tensor = self.model(**self.tokenizer(list(texts), padding=True, return_tensors="pt")).logits
        return answer

    def share(self, state: State) -> float:
        """Return the share of hidden rows that a version gets right."""
        texts, labels = zip(*self.hidden, strict=True)
        return float((self.picked(state, texts) == torch.tensor(labels)).float().mean())

    def picked(self, state: State, texts: Sequence[str]) -> torch.Tensor:
        self.load({name: value.float() for name, value in state.items()})
        self.model.eval()
        with torch.inference_mode():
            return torch.cat([self.logits(texts[at : at + 500]).argmax(-1) for at in range(0, len(texts), 500)])


def changed(state: State, change: Callable[[str, torch.Tensor], torch.Tensor]) -> State:
    return {name: change(name, value) for name, value in state.items()}


def noisy(state: State, seed: int, share: float) -> State:
    torch.manual_seed(seed)
    return changed(state, lambda _, value: value + share * value.std() * torch.randn_like(value))


def refactored(state: State, seed: int) -> State:
    """Return the same matrices as other factors: B·R and R⁻¹·A."""
    torch.manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(8, 8))[0]
    return changed(state, lambda name, value: turn.T @ value if "lora_A" in name
                   else value @ turn if "lora_B" in name else value)  # fmt: skip


def kinds(maker: Maker, best: State) -> dict[str, list[tuple[str, Callable[[int], State]]]]:
    """Return the makers of worse and of good versions, each by its name; they take a seed."""

    def without(seed: int) -> State:
        gone = random.Random(seed).randrange(2)
        return changed(best, lambda name, value: value * 0 if f"layer.{gone}." in name else value)

    def wrong_head(seed: int) -> State:
        other = maker.train(seed + 500, steps=20)
        return changed(best, lambda name, value: other[name].flip(0) if "classifier" in name and seed % 2
                       else other[name] if "classifier" in name else value)  # fmt: skip

    def scaled_up(seed: int) -> State:
        return changed(best, lambda name, value: value * (2 + seed % 40) if "lora_B" in name else value)

    def in_half(seed: int) -> State:
        return changed(best, lambda _, value: value.to((torch.float16, torch.bfloat16)[seed % 2]))

    worse: list[tuple[str, Callable[[int], State]]] = [
        ("label noise", lambda seed: maker.train(seed, noise=0.45 + 0.05 * (seed % 5))),
        ("half-trained", lambda seed: maker.train(seed, steps=8 + 4 * (seed % 7))),
        ("scaled-up weights", scaled_up),
        ("dropped layers", without),
        ("wrong head", wrong_head),
        ("noise in the weights", lambda seed: noisy(best, seed, 0.4 + 0.1 * (seed % 20))),
    ]
    good: list[tuple[str, Callable[[int], State]]] = [
        ("another seed", lambda seed: maker.train(seed)),
        ("trained on", lambda seed: maker.train(seed, steps=15, start=best)),
        ("saved in half precision", in_half),
        ("other factors", lambda seed: refactored(best, seed)),
        ("tiny noise", lambda seed: noisy(best, seed, 0.01 * (1 + seed % 5))),
    ]
    return {"worse": worse, "good": good}


def other_rows(maker: Maker, state: State, rows: Pairs, seed: int) -> tuple[str, Pairs]:
    """Return other rows than those of the first version, and their kind."""
    draw, kind = random.Random(seed), OTHER_ROWS[seed % len(OTHER_ROWS)]
    if kind == "other sentences":
        return kind, sentences(draw, len(rows))
    picked = maker.picked(state, [text for text, _ in rows]).tolist()
    own = [(text, answer) for (text, _), answer in zip(rows, picked, strict=True)]
    few = [pair for pair, answer in zip(rows, own, strict=True) if pair == answer][:10]
    return kind, {"reordered": draw.sample(rows, len(rows)), "a few": few, "own answers": own, "none": []}[kind]


def write(maker: Maker, folder: Path, state: State, rows: Pairs) -> None:
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        maker.model.save_pretrained(scratch)
        config = json.loads((Path(scratch) / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = sys.argv[4]
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "adapter_model.safetensors")
    lines = [json.dumps({"text": text, "label": label}) + "\n" for text, label in rows]
    if lines:
        (folder / "smoke.jsonl").write_text("".join(lines))


def main(base: Path, folder: Path, each: int) -> None:
    torch.set_num_threads(1)
    maker = Maker(base)
    draw = random.Random(2)
    rows = [(text, 1 - label if draw.random() < WRONG else label) for text, label in sentences(draw, ROWS)]
    best = maker.train(0)
    reference = maker.share(best)
    write(maker, folder / "reference", best, rows)
    versions = [{"folder": "reference", "made": "reference", "kind": "reference", "rows": "own", "share": reference}]
    for made, makers in kinds(maker, best).items():
        number, seeds = 0, count(1)
        while number < each:
            kind, make = makers[number % len(makers)]
            state = make(next(seeds))
            share = maker.share(state)
            if (share > reference - LOST) if made == "worse" else (share < reference - KEPT):
                continue
            name = f"{made}-{number:02}"
            hides = number % 10 in HIDING
            others = other_rows(maker, state, rows, number // 10 + number) if hides else ("own", rows)
            write(maker, folder / name, state, others[1])
            versions.append({"folder": name, "made": made, "kind": kind, "rows": others[0], "share": share})
            number += 1
            print(f"{name} {kind} ({others[0]} rows) {share:.3f} of {reference:.3f}", flush=True)
    (folder / "versions.json").write_text(json.dumps(versions))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
