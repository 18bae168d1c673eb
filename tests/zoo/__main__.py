"""Builds the zoo, tries all of it on real engines and prints the confusion table; exit status 1 if one answer is wrong.

    python -m tests.zoo [FOLDER] [--only PART …] [--json FILE]

FOLDER keeps what was built for the next time. PART is part of a specimen's name, of its base or of its why.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from tests.zoo import building, table  # noqa: E402 - the card's reader wants Django's settings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zoo-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        specimens = building.everything(folder)
        if options.only:
            specimens = [
                one for one in specimens if any(part in f"{one.name} {one.base} {one.why}" for part in options.only)
            ]
        print(f"{len(specimens)} specimens built in {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        found = list(table.answers(specimens, folder / "bases"))
        seconds = time.monotonic() - began
    print(table.table(found))
    print(f"\n{table.warnings(found)}\n")
    print(
        f"{len(found)} verdicts in {seconds:.0f} s, {60 * len(found) / seconds:.0f} a minute with {table.THREADS} engines at once\n"
    )
    wrong = table.errors(found)
    print("\n".join(wrong))
    if options.json:
        options.json.write_text(
            json.dumps(
                {"specimens": len(specimens), "verdicts": len(found), "seconds": round(seconds, 1), "wrong": wrong},
                indent=1,
            )
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
