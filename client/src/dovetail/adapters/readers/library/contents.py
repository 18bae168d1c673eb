"""The files of an adapter of the adapters library: its config, its weights, its head, and the names of its tensors."""

from __future__ import annotations

import re
from functools import cached_property

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import TensorInfo
from dovetail.adapters.methods.kinds import HEAD_TASKS, task_of_class
from dovetail.adapters.methods.library import as_trained, kind_of
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.readers.sources import Effect, Source
from dovetail.adapters.shapes.fit import Shape

WEIGHTS, PICKLED = "adapter.safetensors", "pytorch_adapter.bin"
HEAD_CONFIG, HEAD_WEIGHTS = "head_config.json", "model_head.safetensors"
FUSION_CONFIG, SETUP_CONFIG = "adapter_fusion_config.json", "adapter_setup.json"
AGAIN = "Save the adapter again with save_adapter(..., use_safetensors=True)"
DELTAS = (".adapter_up.weight", ".lora_B", ".adapter_up.W_right")  # matrices that lead back into the model
NAME = re.compile(r"[A-Za-z0-9_\-]{1,100}")  # it becomes the name of a module and of a folder
CONTAINERS = (
    r"(?:\w*adapters|prefix_tunings|prefix_gates|loras|refts|prompt_tunings|shared_parameters)"  # adapters/loading.py
)


class Library(Folder):
    """One adapter, read lazily; properties raise the errors of the file readers, which earlier checks report."""

    weights, pickled_weights = WEIGHTS, PICKLED
    base_field = "model_name"
    again = f"{AGAIN} and push it."
    to_safetensors = f"{AGAIN}, and push {WEIGHTS} in its place."

    @cached_property
    def method(self) -> configs.Config:
        """The inner config, which states how the adapter is built, with keys of older releases converted."""
        inner = self.config.get("config")
        return as_trained(inner, self.version) if isinstance(inner, dict) else {}

    @property
    def version(self) -> str | None:
        """The release that saved it, such as "adapters.1.3.0"; None for adapter-transformers."""
        return configs.text(self.config, "version")

    @property
    def name(self) -> str:
        """The name of the adapter, which is a part of the name of every tensor."""
        return configs.text(self.config, "name") or ""

    @property
    def library_kind(self) -> str:
        return kind_of(self.method)

    @cached_property
    def head_config(self) -> configs.Config:
        """The config of the head beside the adapter; empty if there is none."""
        if HEAD_CONFIG not in self.files or HEAD_WEIGHTS not in self.files:
            return {}
        with self.files[HEAD_CONFIG]() as file:
            return configs.read(file)

    @property
    def head_name(self) -> str:
        return configs.text(self.head_config, "name") or self.name

    @cached_property
    def head_header(self) -> headers.Header:
        if HEAD_WEIGHTS not in self.files:
            return headers.Header({}, {})
        with self.files[HEAD_WEIGHTS]() as file:
            return headers.read(file)

    @property
    def head_task(self) -> str | None:
        """The task of the head; None without a head, or for a task that is not evaluated here."""
        inner = self.head_config.get("config")
        if isinstance(inner, dict):
            return HEAD_TASKS.get(str(inner.get("head_type")))
        task = task_of_class(str(self.head_config.get("model_class"))) if self.head_config else None
        return None if task == "MASKED_LM" else task

    @property
    def stated_task(self) -> str | None:
        return self.head_task

    @property
    def label_names(self) -> list[str]:
        """The names of the head's labels in the order of their ids; empty unless every id has a name."""
        inner = self.head_config.get("config")
        ids = inner.get("label2id") if isinstance(inner, dict) else None
        numbered = {number: name for name, number in ids.items()} if isinstance(ids, dict) else {}
        return [numbered[at] for at in range(len(numbered))] if numbered.keys() == set(range(len(numbered))) else []

    @property
    def missing_head(self) -> str:
        is_headless = HEAD_CONFIG in self.files and HEAD_WEIGHTS not in self.files
        return HEAD_WEIGHTS if is_headless else ""

    @property
    def whole_numbers(self) -> tuple[str, ...]:
        return ()

    @property
    def scales(self) -> dict[str, float]:
        return {}

    @property
    def sources(self) -> list[Source]:
        headers_of = {self.weights: lambda: self.header, HEAD_WEIGHTS: lambda: self.head_header}
        return [
            Source(path, self.files[path], read, is_head=path == HEAD_WEIGHTS)
            for path, read in headers_of.items()
            if path in self.files
        ]

    @property
    def effects(self) -> list[Effect]:
        ending = [tensor for name, tensor in self.header.tensors.items() if name.endswith(DELTAS)]
        what = "matrix that leads back into the model"
        return [Effect(what, {"": ending}, self.sources[0])] if ending else []

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """The tensors of adapter and head."""
        return {**self.header.tensors, **(self.head_header.tensors if self.head_task else {})}

    @cached_property
    def expected(self) -> dict[str, Shape]:
        assert self.base is not None
        assert self.base.expect is not None
        return self.base.expect(self)

    @property
    def can_be_fitted(self) -> bool:
        return self.base is not None and self.base.expect is not None

    @property
    def strangers(self) -> list[str]:
        return sorted(self.tensors.keys() - self.expected.keys())

    @property
    def misshapen(self) -> list[tuple[str, tuple[int, ...]]]:
        tensors = self.tensors
        return [(name, shape) for name, shape in self.expected.items() if shape and tensors[name].shape != shape]

    def is_own(self, tensor: str) -> bool:
        """Return whether the library loads a tensor as part of this adapter or of its head."""
        own = rf"(?:.*\.)?{CONTAINERS}\.{re.escape(self.name)}\..+"
        return re.fullmatch(own, tensor) is not None or self.is_head(tensor)

    def is_head(self, tensor: str) -> bool:
        if not self.head_task or tensor not in self.head_header.tensors:
            return False
        return self.has_static_head or tensor.startswith(f"heads.{self.head_name}.")

    def is_anothers(self, tensor: str) -> bool:
        """Return whether the name belongs to an adapter or head; called for tensors that are not of this one."""
        return re.fullmatch(rf"(?:.*\.)?(?:{CONTAINERS}|heads)\.[^.]+\..+", tensor) is not None

    @property
    def has_static_head(self) -> bool:
        """True if the head is the fixed one of a model class, which the library converts to a flexible head."""
        return self.head_config.get("config") is None
