"""One adapter on the frozen base, inside the jailed child: loads it and holds what the checks look at."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from peft import MODEL_TYPE_TO_PEFT_MODEL_MAPPING, PeftConfig, PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer

from dovetail.adapters.description import WEIGHTS
from dovetail.adapters.folder import Folder
from dovetail.adapters.layout import HEAD_COPIES
from dovetail.adapters.library.contents import Library
from workers.engine import jail, library
from workers.engine.evals.rows import Rows
from workers.engine.formats import clean
from workers.engine.frozen import Frozen

NAME = "zq_candidate"  # PEFT finds missing keys by looking for the adapter's name in them: no module may contain it


@dataclass(frozen=True, slots=True)
class Timed:
    """What a model said of the rows, and how long the first batch took."""

    output: torch.Tensor
    first_s: float


class Trial:
    """Everything is computed once, when first asked for; the order of the checks decides when that is."""

    loader = "PEFT"

    def __init__(self, folder: Folder, frozen: Frozen, task: str, labels: int, work: Path, rows: Rows) -> None:
        self.folder, self.frozen, self.task, self.labels, self.work, self.rows = (
            folder,
            frozen,
            task,
            labels,
            work,
            rows,
        )
        self.base = frozen.model(task, labels)
        self.originals = frozen.originals(self.base)
        self.evals: list[dict[str, Any]] = []

    @cached_property
    def loaded(self) -> tuple[Any, list[str]]:
        """The adapter on the base, and what the loader itself says is missing or left over."""
        loader = self.work / "loader"
        loader.mkdir()
        (loader / "adapter_config.json").write_text(json.dumps(clean(self.folder)))
        with self.folder.files[WEIGHTS]() as source, (loader / WEIGHTS).open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        jail.give_up_writing()  # from here on a stranger's bytes are interpreted
        self._grow()
        config = PeftConfig.from_pretrained(str(loader))
        wrap = MODEL_TYPE_TO_PEFT_MODEL_MAPPING.get(config.task_type, PeftModel)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # what PEFT warns of is accounted for by name, here and in the checks of fit
            model = wrap(self.base, config, NAME)
            said = model.load_adapter(str(loader), NAME, is_trainable=False)
        told = [key for key in (*said.missing_keys, *said.unexpected_keys) if not key.endswith(HEAD_COPIES)]
        odd = [key for key in told if key != "prompt_embeddings" and key not in self.folder.layout.copies]
        return model.eval(), odd

    def _grow(self) -> None:
        """Gives the base the rows of added tokens, when the file brings them."""
        rows = self.folder.layout.rows
        if rows > self.base.get_input_embeddings().weight.shape[0]:
            self.base.resize_token_embeddings(rows, mean_resizing=False)

    @property
    def model(self) -> Any:
        return self.loaded[0]

    @cached_property
    def with_adapter(self) -> Timed:
        return self._timed(self.model)

    @cached_property
    def again(self) -> Timed:
        """The first rows once more."""
        return self._timed(self.model, most=1)

    @cached_property
    def without_adapter(self) -> Timed:
        """The frozen base under the adapter's own head, so that only the adapter makes the difference."""
        with self._switched_off() as model:
            return self._timed(model)

    @contextmanager
    def _switched_off(self) -> Iterator[Any]:
        """The model without the adapter. PEFT's own disable_adapter() would put the untrained head back as well."""
        if self.model.active_peft_config.is_prompt_learning:
            yield self.model.get_base_model()
            return
        layers = [module for module in self.model.modules() if isinstance(module, BaseTunerLayer)]
        for layer in layers:
            layer.enable_adapters(False)
        yield self.model
        for layer in layers:
            layer.enable_adapters(True)

    def _timed(self, model: Any, most: int | None = None) -> Timed:
        outputs, marks = [], [time.perf_counter()]
        with torch.inference_mode():
            for output in self.rows.answers(model, most):
                outputs.append(output)
                marks.append(time.perf_counter())
        return Timed(torch.cat(outputs), marks[1] - marks[0])


class LibraryTrial(Trial):
    """The same for an adapter of the adapters library, whose model takes adapters in by itself."""

    loader = "The adapters library"
    folder: Library

    @cached_property
    def loaded(self) -> tuple[Any, list[str]]:
        loader = library.write(self.base, self.folder, self.work)
        jail.give_up_writing()
        return self.base, library.load(self.base, self.folder, loader)

    @contextmanager
    def _switched_off(self) -> Iterator[Any]:
        library.switch(self.model, self.folder, on=False)
        yield self.model
        library.switch(self.model, self.folder, on=True)
