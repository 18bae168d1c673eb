"""Converts one pickle to safetensors, in a process of its own that is jailed before it opens the pickle.

derive.py PICKLE TARGET     writes nothing if the pickle cannot be converted; TARGET is alone in its folder
"""

import shutil
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# As in __main__.py: -I keeps everything else off the path.
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "client" / "src")]

from dovetail.adapters.formats import twins  # noqa: E402  # after the path
from dovetail.adapters.readers.folder import opener_of  # noqa: E402  # after the path
from workers.engine import jail  # noqa: E402  # after the path

CODE = (CHECKOUT / "workers", CHECKOUT / "client" / "src" / "dovetail")
MEMORY_BYTES = 2 << 30
CPU_SECONDS = 120


def main(pickle: Path, target: Path) -> None:
    jail.lock_down(
        target.parent,
        [pickle, *CODE],
        memory_bytes=MEMORY_BYTES,
        cpu_seconds=CPU_SECONDS,
        file_bytes=twins.MAX_BYTES + (8 << 20),
    )
    twin = twins.Twin(opener_of(pickle))
    if not twins.why_not(twin):
        with twin() as source, target.open("xb") as target_file:
            shutil.copyfileobj(source, target_file, 1 << 20)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
