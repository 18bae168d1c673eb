"""An adapter made small in the places where its base is small, and the same adapter as PEFT expects it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D

from dovetail.adapters.files import config as configs
from dovetail.adapters.serving import Subject
from dovetail.adapters.serving.subject import PREFIX
from workers.engine.measurers import Trial, Unmeasurable
from workers.engine.measurers.small_base import VISION, is_seen, model_of, text_of, write_model

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
    def _config(self) -> dict[str, Any]:
        config = dict(self.subject.config)
        if config.get("layer_replication") or config.get("target_parameters") or config.get("trainable_token_indices"):
            raise Unmeasurable("Its layers or tokens cannot be made small.")
        config |= {"r": self._rank(self.subject.rank), "layers_to_transform": None, "layers_pattern": None}
        for key in ("rank_pattern", "alpha_pattern"):
            table: Any = config.get(key) or {}
            config[key] = {
                self.renumbered(str(name)): self._rank(value) if key == "rank_pattern" else value
                for name, value in table.items() if not self._is_dropped(str(name))
            }  # fmt: skip
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
        raise Unmeasurable(f"It brings {path}{end}, which cannot be made small.")

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
            raise Unmeasurable(f"No module of the base is {path}.")
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
        raise Unmeasurable(f"It brings {name}, which cannot be made small.")
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
