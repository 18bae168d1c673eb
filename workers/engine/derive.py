"""Writes the safetensors twins of pickles, in a process of its own that is jailed before it opens the first of them.

derive.py FOLDER OUT PATH …     writes OUT/0 for the first path in FOLDER, OUT/1 for the second; nothing without a twin
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# As in __main__.py: -I keeps everything else off the path.
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "client" / "src")]

from dovetail.adapters import twins  # noqa: E402
from dovetail.adapters.folder import opener_of  # noqa: E402
from workers.engine import jail  # noqa: E402

CODE = (CHECKOUT / "workers", CHECKOUT / "client" / "src" / "dovetail")
MEMORY_BYTES = 2 << 30
CPU_SECONDS = 120


def main(folder: Path, out: Path, paths: list[str]) -> None:
    jail.lock_down(
        out, [folder, *CODE], memory_bytes=MEMORY_BYTES, cpu_seconds=CPU_SECONDS, file_bytes=twins.MAX_BYTES + (8 << 20)
    )
    for number, path in enumerate(paths):
        twin = twins.Twin(opener_of(folder / path))
        if not twins.why_not(twin):
            with twin() as source, (out / str(number)).open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
