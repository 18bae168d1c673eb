"""Runs all benchmarks, or those named, and prints each measured number beside its limit."""

import argparse
import importlib
import os
import sys

from bench.line import keep

# The order of running; each is a module with a function `lines`.
ALL = {
    "engine": "verdicts a minute, against one process for each adapter and against the floor; the base afterwards",
    "queue": "500 queued adapters over five bases",
    "relatives": "nearest relatives among 100,000 fingerprints on PostgreSQL, beside pgvector",
    "zoo": "the confusion table of every specimen on both engines, and how often each check warns of good ones",
    "wild": "repositories as tools leave them, pushed to a whole hub by the stock client and judged there",
    "speed": "downloads, answers and pushes beside nginx and docker-registry",
    "garbage": "garbage collection of 100,000 objects, an hour of the day after the other",
    "upgrade": "pulls and pushes while a hub is migrated, upgraded and rolled back, process by process",
    "catalogue": "filters and facets of a catalogue of 100,000 or 1,000,000 on PostgreSQL, over its plain list",
    "write": "rows and WAL of a push with its verdict, and of all that follows, on PostgreSQL",
    "start": "the pages docs/start-*.md whose libraries the tests do not have, walked from top to end",
    "vllm": "vLLM with the client's plugin: aliases that move, holds, a stopped hub",
    "measured": "vLLM, llama.cpp and mlx-lm tried with adapters, beside their rules and the outcomes known to be right",
}


def main() -> int:
    """Measure, print, write .bench/, and return 1 if a number misses its limit."""
    listed = "\n".join(f"  {name:10} {what}" for name, what in ALL.items())
    parser = argparse.ArgumentParser(
        prog="make bench", description=f"Some of:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*ALL, []], metavar="NAME")
    missed = []
    for name in parser.parse_args().names or list(ALL):
        print(f"\n{name}: {ALL[name]} ({os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})", flush=True)
        results = []
        for line in importlib.import_module(f"bench.{name}").lines():
            print(f"  {line}", flush=True)
            results.append(line)
        keep(name, results)
        missed += [f"{name}: {line.what}" for line in results if not line.kept]
    print("\nEvery number is within its limit." if not missed else "\nMissed:\n  " + "\n  ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
