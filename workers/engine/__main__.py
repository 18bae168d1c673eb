"""Starts an engine: a warm parent that reads jobs from stdin and answers on stdout, one JSON object a line.

__main__.py workers.engine.processes.serve --base DIR --base-id ID
    validates adapters of that base; without one it checks files only, without torch
__main__.py features.NAME.engine.MODULE
    does what a feature has an engine for: its `main` takes the other arguments

With --idle SECONDS each of them ends after so many seconds without a job. With --shared the standard input is the
socket of a keeper (keeper.py), and jobs are served in sessions that share the parent's memory (sessions.py).
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# -I keeps the environment and the current folder, which may be an upload, off the path; these two are ours.
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "client" / "src")]

if __name__ == "__main__":
    import_module(sys.argv[1]).main(sys.argv[2:])
