"""The time of static checks, and of fitting an adapter to a base whose weights are not on this machine.

    make bench ARGS=fit

Milliseconds of processor time, medians: the checks of a LoRA of 2 MB, and for bases up to 70 B the header, the fit
against stored shapes, decoding them, all rules of servability, and what an engine takes to measure the base once.
"""

import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.line import Line, median_ms
from dovetail.adapters import check
from dovetail.adapters.fitting import Adapter
from dovetail.adapters.header import read_alone
from dovetail.adapters.serving import Subject, serving
from dovetail.adapters.shapes import decode
from ops.sentences import ROOT
from tests.adapters import MINILM, WEIGHTS, facts_of, lora, openers
from tests.fit.bases import (
    BERT,
    BERT_CONFIG,
    CONFIGS,
    LLAMA_8B,
    LLAMA_70B,
    MISTRAL,
    QWEN,
    bert_lora,
    decoder_lora,
    header_of,
    lora_config,
)

PYTHON = ROOT / ".engines" / "e5" / "bin" / "python"
DENSE = ("query", "key", "value")


def lines() -> Iterator[Line]:
    yield static()
    measurements = measured()
    for base in (BERT, QWEN, MISTRAL, LLAMA_8B, LLAMA_70B):
        config, tensors = (BERT_CONFIG, bert_lora()) if base == BERT else (lora_config(base), decoder_lora(base))
        yield row(base, measurements[base], config, tensors, config["task_type"])


def static() -> Line:
    """Measure every check that needs no torch, on an adapter of about 2 MB in memory."""
    files = lora(MINILM, rank=36, targets=DENSE, dora=False)
    opened, facts = openers(files), facts_of(files)
    size = len(files[WEIGHTS]) / 1e6
    return Line(
        "static checks of a LoRA on MiniLM",
        median_ms(lambda: list(check(opened, facts))),
        "ms",
        most=3,
        note=f"{size:.1f} MB",
    )


def measured() -> dict[str, dict[str, Any]]:
    """Return the shapes by task that an engine reports for each config, and how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder) / str(number) for number in range(len(CONFIGS))]
        for place, config in zip(folders, CONFIGS.values(), strict=True):
            place.mkdir()
            (place / "config.json").write_text(json.dumps(config))
        script = ROOT / "workers" / "engine" / "shapes.py"
        # The first is built twice: its first time pays for imports.
        command = [str(PYTHON), "-I", str(script), *map(str, [folders[0], *folders])]
        done = subprocess.run(command, check=True, capture_output=True, cwd="/")
    return dict(zip(CONFIGS, list(map(json.loads, done.stdout.splitlines()))[1:], strict=True))


def row(base: str, measurement: dict[str, Any], config: dict[str, Any], tensors: dict[str, Any], task: str) -> Line:
    raw = json.dumps(header_of(tensors)).encode()
    header, shapes = read_alone(raw), decode(measurement["tasks"][task])
    assert Adapter(config, header).on(shapes).fits
    others = {
        "header": median_ms(lambda: read_alone(raw)),
        "decode": median_ms(lambda: decode(measurement["tasks"][task])),
        "serving": median_ms(lambda: serving(Subject(config, tensors))),
        "measured once": statistics.median([1000 * measurement["seconds"] / len(measurement["tasks"])]),
    }
    note = ", ".join(f"{name} {milliseconds:.1f}" for name, milliseconds in others.items())
    fit = median_ms(lambda: Adapter(config, header).on(shapes), 41)
    promise = {"most": 5.0} if base == LLAMA_70B else {}
    return Line(f"fit of {len(tensors):,} tensors to {base}", fit, "ms", note=note, **promise)
