"""Converts or merges adapters, in a process of its own that is jailed before it opens one of their files.

make_version.py FOLDER      FOLDER holds request.json, the sources as 0, 1, …, and `to`, which gets the files

What happened is the one line on standard output: {"facts": …} or {"refused": reason}.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[3]
# As in workers/engine/__main__.py: -I keeps everything else off the path.
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "client" / "src")]
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the jail binds one thread

from dovetail.adapters.convert import Conversion, Unconvertible, convert, stated  # noqa: E402  # after the path
from dovetail.adapters.files.header import Opener  # noqa: E402  # after the path
from dovetail.adapters.merge import Recipe, Source, arithmetic, merge  # noqa: E402  # numpy, while files are allowed
from dovetail.adapters.readers.folder import files_in  # noqa: E402  # after the path
from dovetail.integrations.peft_changes import changes  # noqa: E402  # after the path
from workers.engine import jail  # noqa: E402  # after the path

CODE = (CHECKOUT / "workers", CHECKOUT / "client" / "src" / "dovetail")
MEMORY_BYTES = 12 << 30  # of address space, of which torch maps several: a module is merged whole
CPU_SECONDS = 300
FILE_BYTES = 8 << 30
LOADED = arithmetic.__name__


def main(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    base = [Path(request["base"])] if request["base"] else []
    if request["to"] == "peft-lora":
        import peft  # noqa: F401 - while files are allowed; other conversions need no torch
        import torch

        torch.set_num_threads(1)
    jail.lock_down(
        folder / "to", [folder, *base, *CODE], memory_bytes=MEMORY_BYTES, cpu_seconds=CPU_SECONDS, file_bytes=FILE_BYTES
    )
    try:
        made = _make(folder, request)
        made.write(folder / "to")
        answer: dict[str, object] = {"facts": made.facts()}
    except Unconvertible as refusal:
        answer = {"refused": str(refusal)}
    sys.stdout.write(json.dumps(answer))


def _make(folder: Path, request: Mapping[str, Any]) -> Conversion:
    sources = [
        Source(source["name"], files_in(folder / str(number)), source["weight"], _texts(source["labels"]))
        for number, source in enumerate(request["sources"])
    ]
    if request["recipe"]:
        return merge(sources, Recipe(**request["recipe"]))
    settings = stated(request["card"], **request["asked"])
    base = request["base_name"]
    return convert(
        sources[0].files, request["to"], base=base, base_files=_base_files(request), settings=settings, changes=changes
    )


def _texts(labels: object) -> list[str]:
    return [str(label) for label in labels] if isinstance(labels, list) else []


def _base_files(request: Mapping[str, Any]) -> dict[str, Opener]:
    if request["base"]:
        return files_in(Path(request["base"]))
    config = json.dumps(request["base_config"]).encode()
    return {"config.json": lambda: io.BytesIO(config)} if request["base_config"] else {}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
