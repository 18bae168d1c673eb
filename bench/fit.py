"""How long it takes to fit an adapter to a base whose weights nobody here has, and to measure that base once.

    .venv/bin/python bench/fit.py

Prints medians of processor time in milliseconds: header read, fit against stored shapes, decoding them, all rules of
servability; and what the engine takes to build each base on the meta device.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]

from dovetail.adapters.fitting import Adapter  # noqa: E402
from dovetail.adapters.header import read_alone  # noqa: E402
from dovetail.adapters.serving import Subject, serving  # noqa: E402
from dovetail.adapters.shapes import decode  # noqa: E402
from tests.fit.bases import (  # noqa: E402
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
PROMISED_MS = 5.0  # fit against stored shapes, 70B LoRA of 1120 tensors


def measured() -> dict[str, dict]:
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


def median_ms(what, times: int = 41) -> float:
    """Of this thread's processor time, which other work on the machine disturbs less."""
    took = []
    for _ in range(times):
        began = time.thread_time()
        what()
        took.append(1000 * (time.thread_time() - began))
    return statistics.median(took)


def row(base: str, said: dict, config: dict, tensors: dict, task: str) -> tuple[float, str]:
    raw = json.dumps(header_of(tensors)).encode()
    header, shapes = read_alone(raw), decode(said["tasks"][task])
    assert Adapter(config, header).on(shapes).fits
    fit = median_ms(lambda: Adapter(config, header).on(shapes))
    subject = median_ms(lambda: serving(Subject(config, tensors)))
    numbers = (median_ms(lambda: read_alone(raw)), fit, median_ms(lambda: decode(said["tasks"][task])), subject)
    columns = "".join(f"{number:>10.2f}" for number in numbers)
    return fit, f"{base:<32}{len(tensors):>8}{columns}{1000 * said['seconds'] / len(said['tasks']):>16.0f}"


def main() -> int:
    found = measured()
    print(f"{'base':<32}{'tensors':>8}{'header':>10}{'fit':>10}{'decode':>10}{'serving':>10}{'meta, a task':>16}   ms")
    promised, line = 0.0, ""
    for base in (BERT, QWEN, MISTRAL, LLAMA_8B, LLAMA_70B):
        config, tensors = (BERT_CONFIG, bert_lora()) if base == BERT else (lora_config(base), decoder_lora(base))
        promised, line = row(base, found[base], config, tensors, config["task_type"])
        print(line)
    print(f"\nfit of a 70B LoRA: {promised:.2f} ms of the {PROMISED_MS:g} ms promised")
    return int(promised > PROMISED_MS)


if __name__ == "__main__":
    sys.exit(main())
