"""Rows of a large hub, as pushes would have left them: run by `python -m bench.seeded N` in the environment of a hub.

Each adapter has two revisions of five files, the newest with a verdict. Bytes are in the store for every one of the
first adapters and for the newest (SHOWN), which are those that a bench asks for. One person, COLLECTOR, owns every
twentieth adapter, likes every tenth, and is followed by everybody.
"""

import hashlib
import json
import os
import random
import struct
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import django
from django.core.management.color import no_style
from django.db import connection, models, transaction

BATCH = 5_000  # adapters written together
SHOWN = 40
FIRST = 1_000  # the lowest id of what is written here
START = datetime(2026, 1, 1, tzinfo=UTC)
COLLECTOR = "collector"
BASES = [f"{who}/{name}-{size}" for who in ("acme", "orbit", "lumen") for name in ("bert", "llama", "qwen", "gemma")
         for size in ("1b", "3b", "7b", "13b")]  # fmt: skip
TASKS = ["text-classification", "token-classification", "text-generation", "question-answering", "summarization"]
KINDS = ["lora", "lora", "lora", "ia3", "prefix-tuning", "prompt-tuning"]
LICENSES = ["apache-2.0", "mit", "cc-by-4.0", "openrail"]
SYLLABLES = "ba de fi go lu ma ne pi ro su ta ve wi xo za ke".split()  # noqa: SIM905  # easier to read
WORDS = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]  # 4,096; the first are the commonest


def word(dice: random.Random) -> str:
    """Return a word: some are in every tenth adapter, most in hardly any."""
    return WORDS[min(int(dice.paretovariate(0.6)) - 1, len(WORDS) - 1)]


def owner_of(number: int) -> int:
    """Return the number of the person an adapter belongs to; 0 is the collector."""
    return 0 if number % 20 == 19 else number // 20 + 1


def person(owner: int) -> str:
    """Return the name of a person."""
    return f"person-{owner}" if owner else COLLECTOR


def name_of(number: int) -> str:
    """Return the id of an adapter."""
    dice = random.Random(number)
    return f"{person(owner_of(number))}/{word(dice)}-{word(dice)}-{number}"


class Rows:
    """Rows on their way into the database in batches: as objects of Django, millions of them would take an hour."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[type[models.Model], tuple[str, ...]], list[tuple[Any, ...]]] = {}
        self.blobs: set[str] = set()  # those that several adapters share

    def add(self, model: type[models.Model], **columns: Any) -> None:
        """Add one row; columns that are not named hold the model's default."""
        self.waiting.setdefault((model, tuple(columns)), []).append(tuple(columns.values()))

    def write(self) -> None:
        """Write the waiting rows, in the order in which their models came first."""
        with transaction.atomic():
            for (model, names), rows in self.waiting.items():
                _copy(model, names, rows)
        self.waiting = {key: [] for key in self.waiting}


def _copy(model: type[models.Model], names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    others = [
        field for field in model._meta.concrete_fields
        if field.column not in names and not isinstance(field, models.AutoField) and not field.has_db_default()
    ]  # fmt: skip
    rest = tuple(field.get_db_prep_save(field.get_default(), connection) for field in others)
    columns = ", ".join([*names, *(str(field.column) for field in others)])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {model._meta.db_table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row + rest)
        else:
            places = ", ".join(["%s"] * (len(names) + len(rest)))
            insert = f"INSERT INTO {model._meta.db_table} ({columns}) VALUES ({places})"
            cursor.executemany(insert, [row + rest for row in rows])


def seed(count: int) -> None:
    """Write that many adapters and all that belongs to them, and say how far it is."""
    trust_us()
    rows, began = Rows(), time.monotonic()
    collector(rows)
    for number in range(count):
        if number % 20 == 0:
            add_person(rows, owner_of(number))
        _repository(rows, number, number < SHOWN or number >= count - SHOWN)
        if number % BATCH == BATCH - 1 or number == count - 1:
            rows.write()
            print(f"    {number + 1:,} of {count:,} adapters, {time.monotonic() - began:.0f} s", flush=True)
    finish(rows, "ANALYZE")


def finish(rows: Rows, analyze: str) -> None:
    """Set the sequences behind what was written, count the adapters, and gather statistics."""
    from registry.models import CatalogueCount  # models are there after django.setup()
    from registry.repos import counting

    CatalogueCount.objects.all().delete()  # on SQLite the triggers were on
    counting.correct()
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [model for model, _ in rows.waiting]):
            cursor.execute(statement)
        cursor.execute(analyze)


def trust_us() -> None:
    """Turn off checks and durability: the rows are valid, and after a crash the seeding starts again."""
    postgres = ["SET session_replication_role = replica"]
    sqlite = ["foreign_keys = OFF", "ignore_check_constraints = ON", "synchronous = OFF"]
    with connection.cursor() as cursor:
        for statement in postgres if connection.vendor == "postgresql" else [f"PRAGMA {one}" for one in sqlite]:
            cursor.execute(statement)


def moment(seconds: int) -> Any:
    return connection.ops.adapt_datetimefield_value(START + timedelta(seconds=seconds))


# --- people ----------------------------------------------------------------------------------------------------------
def add_person(rows: Rows, owner: int) -> None:
    from registry.models import Follow, Namespace, User  # models are there after django.setup()

    id, name = FIRST + owner, person(owner)
    rows.add(Namespace, id=id, name=name, kind="person", created_at=moment(0))
    rows.add(User, id=id, namespace_id=id, username=name, password="!", created_at=moment(0))
    if owner:
        rows.add(Follow, follower_id=id, namespace_id=FIRST)


def collector(rows: Rows) -> None:
    from registry.models import Watch, Webhook

    add_person(rows, 0)
    rows.add(Webhook, id=FIRST, owner_id=FIRST, url="https://example.org/hook", domains='["repo"]')
    rows.add(Watch, webhook_id=FIRST, type="user", name=COLLECTOR, folded=COLLECTOR)


# --- adapters --------------------------------------------------------------------------------------------------------
def _repository(rows: Rows, number: int, is_shown: bool) -> None:
    from registry.models import AuditEvent, Event, Like, Repository
    from registry.repos import search_terms

    dice, id, owner = random.Random(number), FIRST + number, FIRST + owner_of(number)
    name = f"{word(dice)}-{word(dice)}-{number}"
    full_name = f"{person(owner_of(number))}/{name}"
    base, kind, task, license = (dice.choice(some) for some in (BASES, KINDS, TASKS, LICENSES))
    summary, title = " ".join(word(dice) for _ in range(20)), " ".join(word(dice) for _ in range(4))
    tags = ["peft", "safetensors", kind, task, "en", f"base_model:{base}", f"base_model:adapter:{base}",
            f"license:{license}", word(dice)]  # fmt: skip
    state = dice.choices(["passed", "failed", "errored"], [8, 1, 1])[0]
    rows.add(
        Repository, id=id, type="model", namespace_id=owner, name=name, created_by_id=owner, summary=summary,
        private=not is_shown and dice.random() < 0.05, format="peft", kind=kind, base=base, task=task,
        license=license, rank=dice.choice([4, 8, 16, 64]), parameters=dice.randrange(10**7),
        size=dice.randrange(10**8), tags=json.dumps(tags), state=state, serves="\nvllm\nlorax\n",
        search_text=search_terms.search_text(full_name, summary, base, kind, task, title=title, tags=tags),
        downloads=int(dice.paretovariate(0.8)), likes=int(dice.paretovariate(1.2)) - 1, trending=dice.random(),
        created_at=moment(number), updated_at=moment(number * 7919 % 10**7),
    )  # fmt: skip
    oids = _revisions(rows, number, base, is_shown)
    _verdict(rows, number, owner, state, base)
    happened = {"kind": "push", "was_public": True, "revision": oids[1]}
    rows.add(Event, seq=number + 1, repository_id=id, type="model", name=full_name, **happened)
    rows.add(AuditEvent, actor=person(owner_of(number)), action="adapter:create", object=full_name, at=moment(number))
    if number % 10 == 0:
        rows.add(Like, repository_id=id, user_id=FIRST, created_at=moment(number))


def _revisions(rows: Rows, number: int, base: str, is_shown: bool) -> list[str]:
    from registry.models import Ref, Revision, RevisionFile, UploadedBlob
    from registry.repos import manifest

    oids: list[str] = []
    owned = set()
    adapter, author, at = FIRST + number, owner_of(number), START + timedelta(seconds=number)
    for version, files in enumerate(_trees(number, base)):
        id, title = FIRST + 2 * number + version, f"Version {version}"
        entries = {path: _entry(rows, path, data, is_shown) for path, data in files.items()}
        oids.append(manifest.revision_oid(
            entries, parent=oids[0] if oids else None, author=person(author), at=at, title=title, message=""
        ))  # fmt: skip
        rows.add(Revision, id=id, repository_id=adapter, oid=oids[-1], parent_id=id - 1 if version else None,
                 title=title, author_id=FIRST + author, created_at=moment(number))  # fmt: skip
        for one in entries.values():
            rows.add(RevisionFile, revision_id=id, path=one.path, blob_id=one.sha256, size=one.size, is_lfs=one.is_lfs,
                     git_oid=one.git_oid)  # fmt: skip
            owned.add(one.sha256)
    for sha256 in owned:
        rows.add(UploadedBlob, repository_id=adapter, blob_id=sha256, created_at=moment(number))
    rows.add(Ref, repository_id=adapter, revision_id=id, name="refs/heads/main", updated_at=moment(number))
    return oids


def _verdict(rows: Rows, number: int, owner: int, state: str, base: str) -> None:
    from registry.models import Alert, Attempt, Delivery, Ref, Verdict

    id, adapter, revision, at = FIRST + number, FIRST + number, FIRST + 2 * number + 1, moment(number)
    rows.add(Verdict, id=id, revision_id=revision, state=state, finished_at=at, queued_at=at, duration_ms=900,
             base=base)  # fmt: skip
    rows.add(Attempt, verdict_id=id, number=1, worker="one", started_at=at, ended_at=at, outcome=state)
    if state == "passed":
        rows.add(Ref, repository_id=adapter, revision_id=revision, name="refs/verified", updated_at=at)
    else:
        rows.add(Alert, user_id=owner, repository_id=adapter, verdict_id=id)
    if owner == FIRST:
        rows.add(Delivery, webhook_id=FIRST, payload="{}", state="sent", attempts=1, status=200)


# --- files -----------------------------------------------------------------------------------------------------------
def _trees(number: int, base: str) -> Iterator[dict[str, bytes]]:
    """Yield the files of both revisions."""
    config = json.dumps({"peft_type": "LORA", "base_model_name_or_path": base, "r": 8}).encode()
    for version in range(2):
        yield {
            ".gitattributes": b"*.safetensors filter=lfs\n",
            "README.md": f"---\nlicense: mit\n---\n# {number}\nVersion {version} of an adapter.\n".encode(),
            "adapter_config.json": config,
            "adapter_model.safetensors": _weights(number, version),
            "training/log.txt": b"loss 0.1\n",
        }


def _weights(number: int, version: int) -> bytes:
    header = json.dumps({"a.lora_A.weight": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack("<4I", number, version, 0, 0) * 4


@lru_cache(maxsize=1000)  # most are nobody else's, those of all are met again at once
def _entry(rows: Rows, path: str, data: bytes, is_kept: bool) -> Any:
    """Return the entry of a file, which is written down with its bytes where somebody will ask for them."""
    from registry.bytes import intake
    from registry.models import Blob, XetFile, Xorb
    from registry.repos import manifest

    sha256 = hashlib.sha256(data).hexdigest()
    if is_kept:
        intake.store_verified(sha256, [data])
    if not path.endswith(".safetensors"):
        if sha256 not in rows.blobs:
            rows.blobs.add(sha256)
            rows.add(Blob, sha256=sha256, size=len(data), created_at=moment(0))
        return manifest.Entry(path, sha256, len(data), False, manifest.git_blob_oid(data))
    xorb, terms = hashlib.sha256(sha256.encode()).hexdigest(), [0, 1, len(data)]
    rows.add(Blob, sha256=sha256, size=len(data), created_at=moment(0))
    rows.add(Xorb, hash=xorb, size=len(data))
    rows.add(XetFile, file_id=xorb[::-1], sha256=sha256, size=len(data), terms=json.dumps([[xorb, *terms]]))
    return manifest.lfs_entry(path, sha256, len(data))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    django.setup()
    seed(int(sys.argv[1]))
