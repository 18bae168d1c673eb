"""Runs every benchmark on a hub of its own and prints one table: what was asked for, what this machine does."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench import measures
from bench.house import House


def main() -> int:
    """Measure, print, and return 1 when a number that was promised is missed."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("names", nargs="*", help=f"some of: {', '.join(measures.ALL)}")
    chosen = parser.parse_args().names or list(measures.ALL)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before\n")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="dovetail-bench-") as folder, House(Path(folder)) as house:
        for name in chosen:
            for line in measures.ALL[name](house):
                print(line, flush=True)
                missed += not line.kept
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
