"""Starts an engine: a warm parent that reads jobs from stdin and answers on stdout, one JSON object a line.

__main__.py serve --base DIR --base-id ID     validates adapters of that base
__main__.py serve                             checks files only, without torch, for adapters whose base is not here
"""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# -I keeps the environment and the current folder, which may be an upload, off the path; these two are ours.
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "client" / "src")]

from workers.engine.serve import main  # noqa: E402  # after the path

if __name__ == "__main__":
    main(sys.argv[1:])
