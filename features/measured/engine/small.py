"""An adapter made small in the places where its base is small, and the same adapter as PEFT expects it.

The small base answers greedily, alone and with its adapter by PEFT; an engine's answers equal one of the two.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D

from dovetail.adapters.files import config as configs
from dovetail.adapters.results.report import Measured
from dovetail.adapters.serving import Subject
from dovetail.adapters.serving.subject import PREFIX
from features.measured.engine import Trial, Unmeasurable
from features.measured.engine.small_base import VISION, is_seen, model_of, text_of, write_model
from workers.engine.processes.child import MEMORY_WORDS

MAX_REFUSAL = 400
OURS = (*MEMORY_WORDS, "can't start new thread")  # words of errors that the jail causes
MAX_RANK = 16
NUMBER = re.compile(r"(?<=[.])(\d+)(?=[.]|\\\.)")  # of a layer, in a name or a pattern
SEED = 5
INVOCATION = 200  # the first of the tokens that take the places of those of an activated LoRA


@dataclass
class Small:
    """A small base and a small adapter, in memory and as folders."""

    trial: Trial
    model: Any = field(init=False)

    def __post_init__(self) -> None:
        self.model = model_of(self.trial.config)
        self.layers = int(self.model.config.get_text_config().num_hidden_layers)
        self.real_layers = int(text_of(self.trial.config).num_hidden_layers)

    def write_base(self) -> Path:
        folder = self.trial.work / "small"
        write_model(self.model, folder)
        return folder

    # --- the adapter -------------------------------------------------------------------------------------------------
    @property
    def subject(self) -> Subject:
        return self.trial.subject

    def write_adapter(self) -> Path:
        """Write it with the names that its file has."""
        names = {name: self.renumbered(name) for name, _, _ in self._tensors}
        return self._write("adapter", {names[name]: tensor for name, _, tensor in self._tensors}, self._config)

    def write_reference(self) -> Path:
        """Write it with the names that its modules have in the small base, as PEFT expects them."""
        tensors = {f"{PREFIX}{path}": tensor for _, path, tensor in self._tensors}
        modules = sorted({path.rpartition(".lora_")[0] for _, path, _ in self._tensors if ".lora_" in path})
        return self._write(
            "reference", tensors, self._config | {"target_modules": modules, "base_model_name_or_path": ""}
        )

    def _write(self, name: str, tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Path:
        folder = self.trial.work / name
        folder.mkdir()
        save_file(dict(tensors), folder / "adapter_model.safetensors")
        (folder / configs.NAME).write_text(json.dumps(config))
        return folder

    @cached_property
    def _config(self) -> dict[str, object]:
        config = dict(self.subject.config)
        if config.get("layer_replication") or config.get("target_parameters") or config.get("trainable_token_indices"):
            raise Unmeasurable("Its layers or tokens cannot be made small.")
        config |= {"r": self._rank(self.subject.rank), "layers_to_transform": None, "layers_pattern": None}
        for key in ("rank_pattern", "alpha_pattern"):
            table: Any = config.get(key) or {}
            config[key] = {
                self.renumbered(str(name)): self._rank(value) if key == "rank_pattern" else value
                for name, value in table.items()
                if not self._is_dropped(str(name))
            }
        if config.get("alora_invocation_tokens"):
            config["alora_invocation_tokens"] = self.invocation
        return config

    @property
    def invocation(self) -> list[int]:
        """The tokens after which an activated LoRA acts, as many as in its config; none for another LoRA."""
        tokens: Any = self.subject.config.get("alora_invocation_tokens") or ()
        return [INVOCATION + number for number in range(len(tokens))]

    def _rank(self, rank: int) -> int:
        most = self.subject.max_rank
        return rank if most <= MAX_RANK else max(1, rank * MAX_RANK // most)

    @cached_property
    def _tensors(self) -> list[tuple[str, str, torch.Tensor]]:
        """Each tensor that stays: its name in the file, its name in the small base, and its values."""
        return list(self._made())

    def _made(self) -> Iterator[tuple[str, str, torch.Tensor]]:
        dice = torch.Generator().manual_seed(SEED)
        for name, shape in self.subject.tensors.items():
            if self._is_dropped(name):
                continue
            path, end = _parted(self.renumbered(name))
            home = self._resolved(path)
            yield name, f"{home}{end}", self._values(home, end, shape, dice)

    def _values(self, path: str, end: str, shape: tuple[int, ...], dice: torch.Generator) -> torch.Tensor:
        module = self.model.get_submodule(path)
        width, height = _widths(module, path)
        if end in (".lora_A.weight", ".lora_embedding_A"):
            rank = self._rank(shape[0])
            return torch.randn(rank, width, generator=dice) / (math.sqrt(width) if end == ".lora_A.weight" else 1)
        if end in (".lora_B.weight", ".lora_embedding_B"):
            rank = self._rank(shape[1])
            return torch.randn(height, rank, generator=dice) * 0.5 / (math.sqrt(rank) * self._scale)
        if end.startswith(".lora_magnitude_vector"):
            norms = module.weight.norm(dim=1) if module.weight.shape[0] == height else module.weight.norm(dim=0)
            return norms * (1 + 0.2 * torch.rand(height, generator=dice))
        if end == ".lora_B.bias":
            return torch.randn(height, generator=dice)
        raise Unmeasurable(f"It contains {path}{end}, which cannot be made small.")

    @property
    def _scale(self) -> float:
        rank = self._rank(self.subject.rank)
        scale = self.subject.alpha / (math.sqrt(rank) if self.subject.flag("use_rslora") else rank)
        if not scale:
            raise Unmeasurable("Its scale is 0.")
        return abs(scale)

    def _resolved(self, path: str) -> str:
        """Return the path of the module in the small base that a path in the file means."""
        if path in self._paths:
            return path
        match = re.search(r"(?:layers|h|blocks)\.\d+\..+", path)
        tail = match[0] if match else path.rpartition(".")[2]
        homes = [home for home in self._paths if f".{home}".endswith(f".{tail}") and not is_seen(home)]
        if len(homes) != 1:
            raise Unmeasurable(f"The base has no module {path}.")
        return homes[0]

    @cached_property
    def _paths(self) -> set[str]:
        return {path for path, _ in self.model.named_modules()}

    # --- layers ------------------------------------------------------------------------------------------------------
    @cached_property
    def _low(self) -> bool:
        """True if the adapter has a layer among the first, which the small base keeps."""
        return any(number < self.layers for number in self._numbers)

    @cached_property
    def _numbers(self) -> set[int]:
        found = (NUMBER.search(name) for name in self.subject.tensors if not is_seen(name))
        return {int(match[1]) for match in found if match}

    def _is_dropped(self, name: str) -> bool:
        match = NUMBER.search(name)
        if match is None:
            return False
        number = int(match[1])
        if is_seen(name):
            return number >= VISION["num_hidden_layers"]
        is_kept = number < self.layers if self._low else number in sorted(self._numbers)[: self.layers]
        return not is_kept and number < self.real_layers

    def renumbered(self, name: str) -> str:
        """Return a name or a pattern with the number that its layer has in the small base."""

        def small(match: re.Match[str]) -> str:
            number = int(match[1])
            if number >= self.real_layers:
                return str(self.layers + number - self.real_layers)
            return str(number if self._low else number % self.layers)

        return name if is_seen(name) else NUMBER.sub(small, name, count=1)


def _parted(name: str) -> tuple[str, str]:
    """Return a module's path and the end of one of its tensors' names."""
    while name.startswith(PREFIX):
        name = name.removeprefix(PREFIX)
    path, mark, end = name.partition(".lora_")
    if not mark:
        raise Unmeasurable(f"It contains {name}, which cannot be made small.")
    return path, f"{mark}{end}"


def _widths(module: Any, path: str) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of a module."""
    if isinstance(module, torch.nn.Linear):
        return module.in_features, module.out_features
    if isinstance(module, torch.nn.Embedding):
        return module.num_embeddings, module.embedding_dim
    if isinstance(module, Conv1D):
        return int(module.weight.shape[0]), int(module.weight.shape[1])
    raise Unmeasurable(f"Its module {path} cannot be made small.")


TOKENS = 8
TOLERANCE = 0.02  # of a log probability: float32 in two programs differs by less, another scale by more
STARTS = (7, 60, 113)  # the first ids of the prompts


@dataclass(frozen=True)
class Answer:
    """The tokens that a model chose after one prompt, and their log probabilities."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]

    def equals(self, other: Answer) -> bool:
        """Compare up to the first token that differs: where both are as likely, either may be chosen."""
        pairs = zip(self.tokens, other.tokens, self.logprobs, other.logprobs, strict=True)
        for mine, theirs, my_logprob, their_logprob in pairs:
            if not abs(my_logprob - their_logprob) <= TOLERANCE:  # true of NaN too
                return False
            if mine != theirs:
                return True
        return True


class Comparable(Protocol):
    """An answer of any kind: of a model of texts, or of pictures."""

    def equals(self, other: Any) -> bool:
        """Return whether both are the same but for the order of additions."""


Answers = Sequence[Comparable]


@dataclass(frozen=True)
class Expected:
    """The right answers, of the base and of the base with the adapter, and the prompts if they are answers to some."""

    base: Answers
    adapter: Answers
    prompts: Sequence[list[int]] = ()

    def require_base(self, answers: Answers) -> None:
        """Raise Unmeasurable where an engine computes the small base itself otherwise than transformers does."""
        if not _equal(answers, self.base):
            raise Unmeasurable("The engine gives other answers for the small base itself, without the adapter.")

    def judged(self, measured: Measured, answers: Answers) -> Measured:
        """Return what was measured with the model that the engine's answers are those of."""
        which: Literal["adapter", "base", "neither"] = "neither"
        if _equal(answers, self.adapter):
            which = "adapter"
        elif _equal(answers, self.base):
            which = "base"
        return replace(measured, depth="run", answer=which)


def expected(small: Small) -> Expected:
    """Return the right answers. Raises Unmeasurable where PEFT cannot give them, or the adapter changes nothing."""
    reference = small.write_reference()
    prompts = [[*range(start, start + 5), *small.invocation, start + 9, start + 11] for start in STARTS]
    base = [answer(small.model, prompt) for prompt in prompts]
    try:
        tuned = PeftModel.from_pretrained(small.model, str(reference)).eval()
        adapter = [answer(tuned, prompt) for prompt in prompts]
    except (ValueError, TypeError, RuntimeError, AttributeError, LookupError) as problem:
        raise Unmeasurable(f"PEFT does not run the adapter when it is made small: {problem}") from problem
    return expecting(base, adapter, prompts)


def expecting(base: Answers, adapter: Answers, prompts: Sequence[list[int]] = ()) -> Expected:
    """Return right answers that can be told from each other. Raises Unmeasurable where the adapter changes nothing."""
    if not _equal(base, base):
        raise Unmeasurable("The small base gives no numbers.")
    if _equal(base, adapter):
        raise Unmeasurable("Made small, the adapter changes no answers.")
    return Expected(base, adapter, prompts)


def answer(model: Any, prompt: list[int]) -> Answer:
    """Return the greedy answer of a model of torch."""
    ids, logprobs = list(prompt), []
    with torch.inference_mode():
        for _ in range(TOKENS):
            logits = model(
                input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)
            ).logits
            value, token = torch.log_softmax(logits[0, -1].float(), -1).max(-1)
            ids.append(int(token))
            logprobs.append(float(value))
    return Answer(tuple(ids[len(prompt) :]), tuple(logprobs))


def _equal(one: Answers, other: Answers) -> bool:
    return all(mine.equals(theirs) for mine, theirs in zip(one, other, strict=True))


def words(problem: BaseException) -> str:
    """Return the message of an error as one line."""
    return " ".join(str(problem).split())[:MAX_REFUSAL] or type(problem).__name__


def refused(engine: str, trial: Trial, problem: BaseException) -> Measured:
    """Return the refusal of an adapter by the engine's own error. Raises Unmeasurable where the jail is its cause."""
    message = words(problem).replace(str(trial.adapter), "the adapter")
    if any(ours in message for ours in OURS):
        raise Unmeasurable(message) from problem
    return Measured(engine=engine, of=len(trial.subject.modules), refusal=message)
