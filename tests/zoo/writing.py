"""Writes what a maker makes, a folder each, and what is expected of it; run by an engine's interpreter."""

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch


def main(every: Mapping[str, Any], make: Callable[[Any, str, Path, Path], None], **known: Any) -> None:
    """Make all, or those named on the command line: BASES OUT [NAME …]; `known` is said of each. Exits with 1 if one broke."""
    bases, out, wanted = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    out.mkdir(parents=True, exist_ok=True)
    broken = []
    with (out / "specimens.jsonl").open("w") as said:
        for name, made in every.items():
            if wanted and name not in wanted:
                continue
            try:
                make(made, name, bases, out)
            except Exception as problem:  # noqa: BLE001 - what one library cannot make must not keep the others from being made
                broken.append(f"{name}: {type(problem).__name__}: {str(problem)[:200]}")
                continue
            line = {
                "name": name,
                "base": made.base,
                "expected": made.expected,
                "why": made.why,
                "folder": name,
                **known,
            }
            said.write(json.dumps(line) + "\n")
    print("\n".join(broken))
    sys.exit(1 if broken else 0)
