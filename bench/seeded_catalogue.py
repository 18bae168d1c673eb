"""Rows of a large catalogue: run by `python -m bench.seeded_catalogue N` in the environment of a hub.

Each adapter has one revision of three files and a verdict. Unlike those of bench.seeded, they spread as people's do: a
fifth of them names one of thousands of rare bases, tags are rare and common, some are private, held back or gated.
"""

import hashlib
import json
import os
import random
import sys
import time
from typing import Any

import django
from django.db import connection

from bench import seeded
from bench.seeded import BASES, BATCH, FIRST, KINDS, LICENSES, TASKS, Rows, owner_of, person, word

RARE_BASES = 20_000
RARE_TAG = "found-in-few"  # of one adapter in 10,000
SERVES = ["\nvllm\nlorax\n", "\nvllm\nsglang\nlorax\ntgi\n", "\nllama.cpp\n", ""]
FILES = ("README.md", "adapter_config.json", "adapter_model.safetensors")


def base_of(dice: random.Random) -> str:
    """Return a base: mostly one of the common ones."""
    if dice.random() < 0.8:
        return dice.choice(BASES)
    number = min(int(dice.paretovariate(0.6)), RARE_BASES)
    return f"lab-{number % 97}/model-{number}"


def seed(count: int) -> None:
    """Write that many adapters, count them, and say how far it is."""
    seeded.trust_us()
    rows, began = Rows(), time.monotonic()
    seeded.collector(rows)
    _blobs(rows)
    for number in range(count):
        if number % 20 == 0:
            seeded.add_person(rows, owner_of(number))
        _repository(rows, number)
        if number % BATCH == BATCH - 1 or number == count - 1:
            rows.write()
            print(f"    {number + 1:,} of {count:,} adapters, {time.monotonic() - began:.0f} s", flush=True)
    seeded.finish(rows, "VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _sha256(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


def _blobs(rows: Rows) -> None:
    from registry.models import Blob  # models are there after django.setup()

    for path in FILES:
        rows.add(Blob, sha256=_sha256(path), size=1000, created_at=seeded.moment(0))


def _repository(rows: Rows, number: int) -> None:
    from registry.models import Ref, Repository, Revision, RevisionFile, Verdict
    from registry.repos import search_terms

    dice, id, owner = random.Random(number), FIRST + number, FIRST + owner_of(number)
    name = f"{word(dice)}-{word(dice)}-{number}"
    full_name, base = f"{person(owner_of(number))}/{name}", base_of(dice)
    kind, task, license = dice.choice(KINDS), dice.choice(TASKS), dice.choice(LICENSES)
    summary, title = " ".join(word(dice) for _ in range(20)), " ".join(word(dice) for _ in range(4))
    tags = ["peft", "safetensors", kind, task, "en", f"base_model:{base}", f"base_model:adapter:{base}",
            f"license:{license}", word(dice), *([RARE_TAG] if number % 10_000 == 7 else [])]  # fmt: skip
    state = dice.choices(["passed", "failed", "errored"], [8, 1, 1])[0]
    at = seeded.moment(number)
    rows.add(
        Repository, id=id, type="model", namespace_id=owner, name=name, created_by_id=owner, summary=summary,
        private=dice.random() < 0.05, is_main_held=dice.random() < 0.002, gated="auto" if dice.random() < 0.02 else "",
        archived_at=at if dice.random() < 0.01 else None, format="peft", kind=kind, base=base, task=task,
        license=license, rank=dice.choice([4, 8, 16, 64]), parameters=dice.randrange(10**7),
        size=dice.randrange(10**8), tags=json.dumps(tags), state=state, outcome=state, is_verified=state == "passed",
        targets="\nq_proj\nv_proj\n", serves=dice.choices(SERVES, [5, 3, 1, 1])[0] if state == "passed" else "",
        search_text=search_terms.search_text(full_name, summary, base, kind, task, title=title, tags=tags),
        downloads=int(dice.paretovariate(0.8)), likes=int(dice.paretovariate(1.2)) - 1, trending=dice.random(),
        created_at=at, updated_at=seeded.moment(number * 7919 % 10**7),
    )  # fmt: skip
    oid = hashlib.sha1(f"{number}".encode()).hexdigest()
    rows.add(Revision, id=id, repository_id=id, oid=oid, title="Version 1", author_id=owner, created_at=at)
    for path in FILES:
        rows.add(RevisionFile, revision_id=id, path=path, blob_id=_sha256(path), size=1000, is_lfs=False, git_oid=oid)
    verdict: dict[str, Any] = {"finished_at": at, "queued_at": at, "duration_ms": 900, "base": base}
    rows.add(Verdict, id=id, revision_id=id, state=state, **verdict)
    for ref in ("refs/heads/main", *(["refs/verified"] if state == "passed" else [])):
        rows.add(Ref, repository_id=id, revision_id=id, name=ref, updated_at=at)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    django.setup()
    seed(int(sys.argv[1]))
