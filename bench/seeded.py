"""Rows of a large hub, as pushes would have left them: run by `python -m bench.seeded N` in the environment of a hub.

Each adapter has two revisions of five files, the newest with a verdict. Bytes are in the store for every one of the
first adapters and for the newest (SHOWN), which are those that a bench asks for.
"""

import hashlib
import json
import os
import random
import struct
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from registry.manifest import Entry

BATCH = 2_000  # adapters written together
SHOWN = 100
START = datetime(2026, 1, 1, tzinfo=UTC)
BASES = [f"{who}/{name}-{size}" for who in ("acme", "orbit", "lumen") for name in ("bert", "llama", "qwen", "gemma")
         for size in ("1b", "3b", "7b", "13b")]  # fmt: skip
TASKS = ["text-classification", "token-classification", "text-generation", "question-answering", "summarization"]
KINDS = ["lora", "lora", "lora", "ia3", "prefix-tuning", "prompt-tuning"]
LICENCES = ["apache-2.0", "mit", "cc-by-4.0", "openrail"]
SYLLABLES = "ba de fi go lu ma ne pi ro su ta ve wi xo za ke".split()  # noqa: SIM905  # easier to read
WORDS = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]  # 4,096; the first are the commonest


def word(dice: random.Random) -> str:
    """Return a word: some are in every tenth adapter, most in hardly any."""
    return WORDS[min(int(dice.paretovariate(0.6)) - 1, len(WORDS) - 1)]


def name_of(number: int) -> str:
    """Return the id of an adapter."""
    dice = random.Random(number)
    return f"person-{number // 20}/{word(dice)}-{word(dice)}-{number}"


def seed(count: int) -> None:
    """Write that many adapters."""
    for first in range(0, count, BATCH):
        _batch(range(first, min(first + BATCH, count)), count)


def _batch(numbers: range, count: int) -> None:
    from django.db import transaction  # models are there after django.setup()

    from registry import models

    with transaction.atomic():
        people = _people(numbers)
        shown = {number for number in numbers if number < SHOWN or number >= count - SHOWN}
        made = [_adapter(number, people[number // 20], number in shown) for number in numbers]
        models.Adapter.objects.bulk_create(made)
        trees = {number: list(_trees(number, number in shown)) for number in numbers}
        _blobs(made, trees.values())
        _revisions(made, list(trees.values()))


def _people(numbers: range) -> dict[int, Any]:
    from registry.models import Namespace, User

    wanted = sorted({number // 20 for number in numbers})
    spaces = Namespace.objects.bulk_create([Namespace(name=f"person-{one}", kind="person") for one in wanted])
    users = [User(username=space.name, namespace=space, password="!") for space in spaces]
    return dict(zip(wanted, User.objects.bulk_create(users), strict=True))


def _adapter(number: int, owner: Any, is_shown: bool) -> Any:
    from registry import catalog
    from registry.models import Adapter

    dice = random.Random(number)
    name = f"{word(dice)}-{word(dice)}-{number}"
    base, kind, task, licence = (dice.choice(some) for some in (BASES, KINDS, TASKS, LICENCES))
    summary = " ".join(word(dice) for _ in range(20))
    tags = ["peft", "safetensors", kind, task, "en", f"base_model:{base}", f"base_model:adapter:{base}",
            f"license:{licence}", word(dice)]  # fmt: skip
    return Adapter(
        namespace=owner.namespace, name=name, created_by=owner, summary=summary,
        private=not is_shown and dice.random() < 0.05, format="peft", kind=kind,
        base=base, task=task, licence=licence, rank=dice.choice([4, 8, 16, 64]),
        parameters=dice.randrange(10**7), size=dice.randrange(10**8), tags=tags,
        state=dice.choices(["passed", "failed", "errored"], [8, 1, 1])[0], serves="\nvllm\nlorax\n",
        search_text=catalog.search_text(f"{owner.username}/{name}", summary, base, kind, task, tags=tags),
        downloads=int(dice.paretovariate(0.8)), likes=int(dice.paretovariate(1.2)) - 1, trending=dice.random(),
        created_at=START + timedelta(seconds=number), updated_at=START + timedelta(seconds=number * 7919 % 10**7),
    )  # fmt: skip


def _trees(number: int, is_kept: bool) -> Iterator[dict[str, "Entry"]]:
    """Yield the files of both revisions, and store their bytes where somebody will ask for them."""
    from registry import intake, manifest
    from registry.manifest import Entry

    dice = random.Random(number)
    config = json.dumps({"peft_type": "LORA", "base_model_name_or_path": dice.choice(BASES), "r": 8}).encode()
    for version in range(2):
        files = {
            ".gitattributes": b"*.safetensors filter=lfs\n",
            "README.md": f"---\nlicense: mit\n---\n# {number}\nVersion {version} of an adapter.\n".encode(),
            "adapter_config.json": config,
            "adapter_model.safetensors": _weights(number, version),
            "training/log.txt": b"loss 0.1\n",
        }
        shown = {}
        for path, data in files.items():
            sha256 = hashlib.sha256(data).hexdigest()
            if is_kept:
                intake.store_verified(sha256, [data])
            is_lfs = path.endswith(".safetensors")
            plain = Entry(path, sha256, len(data), False, manifest.git_blob_oid(data))
            shown[path] = manifest.lfs_entry(path, sha256, len(data)) if is_lfs else plain
        yield shown


def _weights(number: int, version: int) -> bytes:
    data = struct.pack("<4I", number, version, 0, 0) * 4
    header = json.dumps({"a.lora_A.weight": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


def _blobs(made: list[Any], trees: Iterable[list[dict[str, "Entry"]]]) -> None:
    from registry.models import Blob, Possession, XetFile, Xorb

    sizes: dict[str, int] = {}
    owned, files, xorbs = [], [], []
    for adapter, both in zip(made, trees, strict=True):
        mine = {entry.sha256: entry for tree in both for entry in tree.values()}
        sizes |= {sha256: entry.size for sha256, entry in mine.items()}
        owned += [Possession(adapter=adapter, blob_id=sha256) for sha256 in mine]
        for entry in mine.values():
            if entry.is_lfs:
                xorb = hashlib.sha256(entry.sha256.encode()).hexdigest()
                terms = [[xorb, 0, 1, entry.size]]
                files.append(XetFile(file_id=xorb[::-1], sha256=entry.sha256, size=entry.size, terms=terms))
                xorbs.append(Xorb(hash=xorb, size=entry.size))
    Blob.objects.bulk_create([Blob(sha256=one, size=size) for one, size in sizes.items()], ignore_conflicts=True)
    Possession.objects.bulk_create(owned)
    XetFile.objects.bulk_create(files)
    Xorb.objects.bulk_create(xorbs)


def _revisions(made: list[Any], trees: list[list[dict[str, "Entry"]]]) -> None:
    from registry import manifest
    from registry.models import Ref, Revision, RevisionFile, Verdict

    before: list[Any] = [None] * len(made)
    for version in range(2):
        rows = []
        for adapter, both, parent in zip(made, trees, before, strict=True):
            oid = manifest.revision_oid(
                both[version], parent=parent and parent.oid, author=adapter.created_by.username,
                at=adapter.created_at, title=f"Version {version}", message="",
            )  # fmt: skip
            rows.append(
                Revision(adapter=adapter, oid=oid, parent=parent, title=f"Version {version}", author=adapter.created_by)
            )
        before = Revision.objects.bulk_create(rows)
        RevisionFile.objects.bulk_create(
            RevisionFile(revision=row, path=one.path, blob_id=one.sha256, size=one.size, is_lfs=one.is_lfs,
                         git_oid=one.git_oid)
            for row, both in zip(before, trees, strict=True) for one in both[version].values()
        )  # fmt: skip
    Verdict.objects.bulk_create(
        Verdict(revision=row, state=row.adapter.state, finished_at=START, duration_ms=900, base=row.adapter.base)
        for row in before
    )
    Ref.objects.bulk_create(
        Ref(adapter=row.adapter, revision=row, name=name)
        for row in before
        for name in ("refs/heads/main", *(["refs/verified"] if row.adapter.state == "passed" else []))
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    django.setup()
    seed(int(sys.argv[1]))
