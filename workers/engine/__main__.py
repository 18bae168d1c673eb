"""Starts an engine: a warm parent that reads jobs from stdin and answers on stdout, one JSON object a line.

__main__.py serve --base DIR --base-id ID     validates adapters of that base
__main__.py serve                             checks files only, without torch, for adapters whose base is not here
__main__.py measure                           tries the serving engine of this interpreter with adapters

With --idle SECONDS each of them ends after so many seconds without a job. With --shared the standard input is the
socket of a keeper (keeper.py), and jobs are served in sessions that share the parent's memory (sessions.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# -I keeps the environment and the current folder, which may be an upload, off the path; these two are ours.
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "client" / "src")]

from workers.engine import measure  # noqa: E402  # after the path
from workers.engine.processes import serve  # noqa: E402  # after the path

if __name__ == "__main__":
    measure.main(sys.argv[2:]) if sys.argv[1:2] == ["measure"] else serve.main(sys.argv[1:])
