"""Measures the shapes of a base from its config.json alone: models of every task on the meta device, without weights.

.engines/e5/bin/python -I workers/engine/shapes.py DIR…     prints a JSON object a line: own task, shapes by task
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "client" / "src")]

LABELS = (2, 3)  # modules that differ between the two belong to the head


def measure(folder: Path) -> dict[str, object]:
    """Return the shapes of a base by task.

    Raises `ValueError`, `KeyError` or `OSError` for a config.json that transformers cannot build a model from.
    """
    import transformers

    from dovetail.adapters.shapes.fit import encode
    from workers.engine.models.frozen import CLASSES, class_of

    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tasks = [task for task in CLASSES if type(config) in class_of(task, config)._model_mapping]
    shapes = {task: encode(shape) for task in tasks for shape in _shapes(folder, task)}
    if not shapes:
        raise ValueError(f"transformers has no language model for the architecture {config.model_type!r}")
    return {"transformers": transformers.__version__, "own_task": _own_task(config, tasks), "tasks": shapes}


def _own_task(config: Any, tasks: list[str]) -> str:
    """Return the task of the base's own model."""
    name = (config.architectures or [""])[0]
    writes = "SEQ_2_SEQ_LM" if getattr(config, "is_encoder_decoder", False) else "CAUSAL_LM"
    ends = {"ForCausalLM": "CAUSAL_LM", "LMHeadModel": "CAUSAL_LM", "ForConditionalGeneration": writes}
    own = next((task for end, task in ends.items() if name.endswith(end)), "FEATURE_EXTRACTION")
    return own if own in tasks else tasks[0]


def _shapes(folder: Path, task: str) -> Iterator[Any]:
    from dovetail.adapters.shapes.fit import Shapes
    from workers.engine.models.frozen import WITH_LABELS
    from workers.engine.models.structure import manifest

    try:
        model = _build(folder, task, LABELS[0])
        base = manifest(model)
    except (AttributeError, StopIteration, IndexError):  # a model without text input, which no adapter here fits
        return
    labelled = (
        [
            path
            for path, module in manifest(_build(folder, task, LABELS[1])).modules.items()
            if module != base.modules[path]
        ]
        if task in WITH_LABELS
        else []
    )
    text = model.config.get_text_config()
    yield Shapes(
        base,
        int(getattr(text, "vocab_size", 0) or 0),
        int(getattr(text, "num_hidden_layers", 0) or 0),
        bool(getattr(model.config, "tie_word_embeddings", False)),
        tuple(model.config.architectures or ()),
        frozenset(labelled),
    )


def _build(folder: Path, task: str, labels: int) -> Any:
    import torch
    import transformers

    from workers.engine.models.frozen import WITH_LABELS, class_of

    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if task in WITH_LABELS:
        config.num_labels = labels
    architectures = config.architectures
    with torch.device("meta"):
        model = class_of(task, config).from_config(config, trust_remote_code=False)
    model.config.architectures = architectures
    return model


def main(folders: list[Path]) -> None:
    """Print one JSON line a folder to the original stdout; what libraries print goes to stderr."""
    voice = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for folder in folders:
        began = time.perf_counter()
        try:
            document = measure(folder)
        except (ValueError, KeyError, TypeError, OSError) as problem:
            document = {"problem": " ".join(str(problem).split())[:400] or type(problem).__name__}
        document["seconds"] = round(time.perf_counter() - began, 3)
        voice.write(json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
