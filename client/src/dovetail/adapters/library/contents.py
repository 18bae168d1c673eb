"""The files of an adapter of the adapters library: its config, its weights, its head, and the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from dovetail.adapters import config as configs
from dovetail.adapters import header as headers
from dovetail.adapters.fit import Shape
from dovetail.adapters.folder import Folder, blocks_of
from dovetail.adapters.header import TensorInfo
from dovetail.adapters.kinds import HEAD_TASKS, task_of_class
from dovetail.adapters.library.methods import as_trained, kind_of

WEIGHTS, PICKLED = "adapter.safetensors", "pytorch_adapter.bin"
HEAD_CONFIG, HEAD_WEIGHTS = "head_config.json", "model_head.safetensors"
FUSION_CONFIG, SETUP_CONFIG = "adapter_fusion_config.json", "adapter_setup.json"
NAME = re.compile(r"[A-Za-z0-9_\-]{1,100}")  # it becomes the name of a module and of a folder
CONTAINERS = (
    r"(?:\w*adapters|prefix_tunings|prefix_gates|loras|refts|prompt_tunings|shared_parameters)"  # adapters/loading.py
)


class Library(Folder):
    """Reads lazily, and raises what the reader of a file raises; the checks ask in an order that does not."""

    weights, pickled_weights = WEIGHTS, PICKLED

    @cached_property
    def method(self) -> configs.Config:
        """The inner config, which says how the adapter is built, in the words of today."""
        found = self.config.get("config")
        return as_trained(found, self.version) if isinstance(found, dict) else {}

    @property
    def version(self) -> str | None:
        """The release that saved it, such as "adapters.1.3.0"; None for adapter-transformers."""
        return configs.text(self.config, "version")

    @property
    def name(self) -> str:
        """What the adapter is called: a part of the name of every tensor."""
        return configs.text(self.config, "name") or ""

    @property
    def library_kind(self) -> str:
        return kind_of(self.method)

    @property
    def base_id(self) -> str | None:
        return configs.text(self.config, "model_name")

    @cached_property
    def head_config(self) -> configs.Config:
        """The head beside the adapter; empty when there is none."""
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
        """The task of the head; None without one, or with one that nothing here measures."""
        inner = self.head_config.get("config")
        if isinstance(inner, dict):
            return HEAD_TASKS.get(str(inner.get("head_type")))
        task = task_of_class(str(self.head_config.get("model_class"))) if self.head_config else None
        return None if task == "MASKED_LM" else task

    @property
    def label_names(self) -> list[str]:
        """The names of the head's labels by their number; empty where they are not told one by one."""
        inner = self.head_config.get("config")
        said = inner.get("label2id") if isinstance(inner, dict) else None
        numbered = {number: name for name, number in said.items()} if isinstance(said, dict) else {}
        return [numbered[at] for at in range(len(numbered))] if numbered.keys() == set(range(len(numbered))) else []

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """Adapter and head together."""
        return {**self.header.tensors, **(self.head_header.tensors if self.head_task else {})}

    @cached_property
    def expected(self) -> dict[str, Shape]:
        assert self.base is not None
        assert self.base.expect is not None
        return self.base.expect(self)

    def is_own(self, tensor: str) -> bool:
        """Whether the library loads a tensor as part of this adapter or of its head."""
        own = rf"(?:.*\.)?{CONTAINERS}\.{re.escape(self.name)}\..+"
        return re.fullmatch(own, tensor) is not None or self.is_head(tensor)

    def is_head(self, tensor: str) -> bool:
        if not self.head_task or tensor not in self.head_header.tensors:
            return False
        return self.has_static_head or tensor.startswith(f"heads.{self.head_name}.")

    def is_anothers(self, tensor: str) -> bool:
        """Whether the name is that of a tensor of some adapter or head, though not of this one."""
        return re.fullmatch(rf"(?:.*\.)?(?:{CONTAINERS}|heads)\.[^.]+\..+", tensor) is not None

    @property
    def has_static_head(self) -> bool:
        """Whether the head is that of a model class with one fixed head, which the library turns into its own kind."""
        return self.head_config.get("config") is None

    def every_block(self) -> Iterator[tuple[str, TensorInfo, bytes]]:
        """Name, tensor and a piece of its bytes, of both files."""
        for path, header in ((self.weights, self.header), (HEAD_WEIGHTS, self.head_header)):
            for name, tensor in header.tensors.items():
                for block in blocks_of(self.files[path], tensor):
                    yield name, tensor, block
