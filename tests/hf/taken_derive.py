"""A process that derives, taken over by a pickle that holds the mark: it writes its own wherever it can."""

import os
import sys
from pathlib import Path

sys.path[:0] = [str(root := Path(__file__).resolve().parents[2]), str(root / "client" / "src")]

from dovetail.adapters.formats import twins
from workers.engine import derive

MARK = b"taken.over"


def taken(twin):
    with twin.source() as file:
        data = file.read()
    if MARK in data:
        here = Path.cwd()
        sys.stderr.write("x" * 100_000)
        for place in (here, here.parent, here.parent.parent):
            for name in ("0", "1", "2", "made"):
                try:
                    (place / name).write_bytes(b"spoilt")
                except OSError:
                    continue
        for folder, _, names in os.walk(here.parent.parent):
            for name in names:
                try:
                    (Path(folder) / name).write_bytes(b"spoilt")
                except OSError:
                    continue
    return honest(twin)


honest, twins.why_not = twins.why_not, taken

if __name__ == "__main__":
    derive.main(Path(sys.argv[1]), Path(sys.argv[2]))
