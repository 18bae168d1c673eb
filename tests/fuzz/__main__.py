"""Fuzzes readers for a while: `python -m tests.fuzz SECONDS [READER…]`; keeps what breaks one, and exits with 1."""

import hashlib
import os
import sys
import time
import traceback
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django
from hypothesis import HealthCheck, Phase, given, settings

django.setup()

from tests.fuzz.inputs import CORPUS, inputs  # noqa: E402  # models need the applications
from tests.fuzz.readers import READERS  # noqa: E402  # as above
from tests.fuzz.test_fuzz import attempt  # noqa: E402  # as above

ROUND = 500  # inputs between two looks at the clock
LONGEST_SECONDS = 5.0  # of processor time that one input may take


class Broke(Exception):
    """A reader broke at this input, or took too long for it."""

    def __init__(self, data: bytes, why: str) -> None:
        super().__init__(why)
        self.data = data


def tried(name: str, data: bytes) -> None:
    began = time.process_time()
    try:
        attempt(name, data)
    except Exception:  # noqa: BLE001  # anything that a reader lets out is what is looked for
        raise Broke(data, traceback.format_exc()) from None
    if time.process_time() - began > LONGEST_SECONDS:
        raise Broke(data, f"It took {time.process_time() - began:.1f} s.")


def fuzz(name: str, seconds: float) -> bool:
    """Fuzz one reader; return whether it held."""
    count, ends = 0, time.monotonic() + seconds

    @settings(
        max_examples=ROUND, database=None, deadline=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(inputs(name))
    def run(data: bytes) -> None:
        nonlocal count
        count += 1
        tried(name, data)

    try:
        while time.monotonic() < ends:
            run()
    except Broke as fault:
        file = CORPUS / name / hashlib.sha256(fault.data).hexdigest()[:16]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(fault.data)
        print(f"{name}: broke after {count:,} inputs; kept as {file.relative_to(Path.cwd())}\n{fault}", flush=True)
        return False
    print(f"{name}: {count:,} inputs, none broke it", flush=True)
    return True


if __name__ == "__main__":
    names = sys.argv[2:] or list(READERS)
    held = [fuzz(name, float(sys.argv[1])) for name in names]  # all of them, whatever broke before
    sys.exit(not all(held))
