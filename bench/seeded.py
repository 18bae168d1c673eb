"""Rows of a large catalogue: run by `python -m bench.seeded N` in the environment of a hub.

PostgreSQL makes the rows behind the first BLOCK itself, of these, with numbers, dates and rare bases of their own.

Each adapter has one revision of three files and a verdict. A fifth of them names one of thousands of rare bases, tags
are rare and common, some are private, held back or gated. One person, COLLECTOR, owns every twentieth adapter and is
followed by everybody.
"""

import hashlib
import json
import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import django
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, models, transaction

BATCH = 5_000  # adapters written together
BLOCK = 20_000  # adapters that Python makes; a multiple of 20 and of 10,000: see owner_of and RARE_TAG
FIRST = 1_000  # the lowest id of what is written here
START = datetime(2026, 1, 1, tzinfo=UTC)
COLLECTOR = "collector"
BASES = [
    f"{who}/{name}-{size}"
    for who in ("acme", "orbit", "lumen")
    for name in ("bert", "llama", "qwen", "gemma")
    for size in ("1b", "3b", "7b", "13b")
]
TASKS = ["text-classification", "token-classification", "text-generation", "question-answering", "summarization"]
KINDS = ["lora", "lora", "lora", "ia3", "prefix-tuning", "prompt-tuning"]
LICENSES = ["apache-2.0", "mit", "cc-by-4.0", "openrail"]
SYLLABLES = "ba de fi go lu ma ne pi ro su ta ve wi xo za ke".split()  # noqa: SIM905  # easier to read
WORDS = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]  # 4,096; the first are the commonest
RARE_BASES = 20_000
RARE_TAG = "found-in-few"  # of one adapter in 10,000
SERVES = ["\nvllm\nlorax\n", "\nvllm\nsglang\nlorax\ntgi\n", "\nllama.cpp\n", ""]
FILES = ("README.md", "adapter_config.json", "adapter_model.safetensors")


def word(dice: random.Random) -> str:
    """Return a word: some are in every tenth adapter, most in hardly any."""
    return WORDS[min(int(dice.paretovariate(0.6)) - 1, len(WORDS) - 1)]


def owner_of(number: int) -> int:
    """Return the number of the person an adapter belongs to; 0 is the collector."""
    return 0 if number % 20 == 19 else number // 20 + 1


def person(owner: int) -> str:
    """Return the name of a person."""
    return f"person-{owner}" if owner else COLLECTOR


class Rows:
    """Rows on their way into the database in batches: as objects of Django, millions of them would take an hour."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[type[models.Model], tuple[str, ...]], list[tuple[Any, ...]]] = {}

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
        field
        for field in model._meta.concrete_fields
        if field.column not in names and not isinstance(field, models.AutoField) and not field.has_db_default()
    ]
    rest = tuple(field.get_db_prep_save(field.get_default(), connection) for field in others)
    columns = ", ".join([*names, *(str(field.column) for field in others)])
    with connection.cursor() as cursor, cursor.copy(f"COPY {model._meta.db_table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row + rest)


def finish(rows: Rows) -> None:
    """Set the sequences behind what was written, count the adapters, and gather statistics."""
    from registry.repos.lists import tallies  # models are there after django.setup()

    tallies.correct()
    _run(*connection.ops.sequence_reset_sql(no_style(), [model for model, _ in rows.waiting]), "VACUUM ANALYZE")


def trust_us() -> None:
    """Turn off triggers and checks of foreign keys: the rows are valid."""
    _run("SET session_replication_role = replica")


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
    add_person(rows, 0)
    if not apps.is_installed("features.webhooks"):
        return
    webhook, watch = (apps.get_model("registry", name) for name in ("Webhook", "Watch"))  # of a feature
    rows.add(webhook, id=FIRST, owner_id=FIRST, url="https://example.org/hook", domains='["repo"]')
    rows.add(watch, webhook_id=FIRST, type="user", name=COLLECTOR, folded=COLLECTOR)


# --- adapters --------------------------------------------------------------------------------------------------------
def base_of(dice: random.Random) -> str:
    """Return a base: mostly one of the common ones."""
    if dice.random() < 0.8:
        return dice.choice(BASES)
    number = min(int(dice.paretovariate(0.6)), RARE_BASES)
    return f"lab-{number % 97}/model-{number}"


def seed(count: int) -> None:
    """Write that many adapters, count them, and say how far it is."""
    trust_us()
    rows, began = Rows(), time.monotonic()

    def tell(what: str) -> None:
        print(f"    {what}, {time.monotonic() - began:.0f} s", flush=True)

    first = min(count, BLOCK)
    collector(rows)
    _blobs(rows)
    for number in range(first):
        if number % 20 == 0:
            add_person(rows, owner_of(number))
        _repository(rows, number)
        if number % BATCH == BATCH - 1 or number == first - 1:
            rows.write()
            tell(f"{number + 1:,} of {count:,} adapters")
    if first < count:
        indexes = _drop_indexes()
        for model, changed in _copies().items():
            _multiply(model, changed, -(-count // BLOCK) - 1)
            tell(f"copies in {model._meta.db_table}")
        _run("SET maintenance_work_mem = '1GB'", *indexes)
        tell(f"{len(indexes)} indexes")
    finish(rows)


def _run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _drop_indexes() -> list[str]:
    """Drop the indexes of the tables that are multiplied, and return the statements that make them again."""
    tables = [model._meta.db_table for model in _copies()]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid::regclass::text = ANY (%s) AND NOT indisunique",
            [tables],
        )
        found = list(cursor.fetchall())
    _run(*(f"DROP INDEX {name}" for name, _ in found))
    return [definition for _, definition in found]


def _copies() -> dict[type[models.Model], dict[str, str]]:
    """Return for each table the columns of a copy that differ from its row `r`; `k` is the number of the copy."""
    from registry.models import Follow, Namespace, Ref, Repository, Revision, RevisionFile, User, Verdict

    def beside(column: str) -> str:
        return f"r.{column} + k * {BLOCK}"

    def owner(column: str) -> str:
        return f"r.{column} + CASE WHEN r.{column} = {FIRST} THEN 0 ELSE k * {BLOCK // 20} END"

    number = f"({beside('id')} - {FIRST})"
    named = {"id": owner("id"), "name": f"'person-' || ({owner('id')} - {FIRST})"}
    at = f"r.created_at + k * interval '{BLOCK} s'"
    adapter = {
        "id": beside("id"),
        "namespace_id": owner("namespace_id"),
        "created_by_id": owner("created_by_id"),
        "name": f"regexp_replace(r.name, '[0-9]+$', '') || {number}",
        "search_text": f"replace(r.search_text, (r.id - {FIRST})::text, {number}::text)",
        "base": "new_base",
        "tags": "replace(r.tags::text, r.base, new_base)::jsonb",
        "downloads": "least(1e9, power(1 - random(), -1 / 0.8))::int",
        "likes": "least(1e9, power(1 - random(), -1 / 1.2))::int - 1",
        "trending": "random()",
        "created_at": at,
        "updated_at": f"timestamptz '{START}' + {number} * 7919 % 10000000 * interval '1 s'",
    }
    of_adapter = {"repository_id": beside("repository_id"), "revision_id": beside("revision_id")}
    oid = f"left(encode(sha256({number}::text::bytea), 'hex'), 40)"
    version = {"id": beside("id"), "oid": oid, "author_id": owner("author_id"), "created_at": at}
    decided = {column: f"r.{column} + k * interval '{BLOCK} s'" for column in ("finished_at", "queued_at")}
    base = f"(SELECT base FROM registry_repository WHERE id = {beside('id')})"
    return {
        Namespace: named,
        User: {"id": owner("id"), "namespace_id": owner("namespace_id"), "username": named["name"]},
        Follow: {"follower_id": owner("follower_id")},
        Repository: adapter,
        Revision: version | of_adapter,
        RevisionFile: of_adapter,
        Verdict: {"id": beside("id"), "base": base} | decided | of_adapter,
        Ref: of_adapter,
    }


def _multiply(model: type[models.Model], changed: dict[str, str], times: int) -> None:
    """Write copies of the rows of the first BLOCK adapters; rare bases are as many as by base_of."""
    table = model._meta.db_table
    columns = [str(field.column) for field in model._meta.concrete_fields]
    columns = [column for column in columns if column != "id" or column in changed]
    values = ", ".join(changed.get(column, f"r.{column}") for column in columns)
    key = next(column for column in ("id", "follower_id", "revision_id") if column in changed)
    first = FIRST if {"base", "revision_id", "oid"} & changed.keys() else FIRST + 1  # the collector has no copies
    rows = f"SELECT * FROM {table}, generate_series(1, {times}) AS k WHERE {key} >= {first}"
    if "new_base" in values:
        rare = f"least(power(1 - random(), -1 / 0.6), {RARE_BASES})::int AS rare"
        base = "CASE WHEN base LIKE 'lab-%' THEN 'lab-' || mod(rare, 97) || '/model-' || rare ELSE base END"
        rows = f"SELECT *, {base} AS new_base FROM (SELECT *, {rare} FROM ({rows}) AS one OFFSET 0) AS two"
    _run(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM ({rows}) AS r")


def _sha256(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


def _blobs(rows: Rows) -> None:
    from registry.models import Blob  # models are there after django.setup()

    for path in FILES:
        rows.add(Blob, sha256=_sha256(path), size=1000, created_at=moment(0))


def _repository(rows: Rows, number: int) -> None:
    from registry.models import Ref, Repository, Revision, RevisionFile, Verdict
    from registry.repos.lists import search_terms

    dice, id, owner = random.Random(number), FIRST + number, FIRST + owner_of(number)
    name = f"{word(dice)}-{word(dice)}-{number}"
    full_name, base = f"{person(owner_of(number))}/{name}", base_of(dice)
    kind, task, license = dice.choice(KINDS), dice.choice(TASKS), dice.choice(LICENSES)
    summary, title = " ".join(word(dice) for _ in range(20)), " ".join(word(dice) for _ in range(4))
    tags = [
        "peft",
        "safetensors",
        kind,
        task,
        "en",
        f"base_model:{base}",
        f"base_model:adapter:{base}",
        f"license:{license}",
        word(dice),
        *([RARE_TAG] if number % 10_000 == 7 else []),
    ]
    state = dice.choices(["passed", "failed", "errored"], [8, 1, 1])[0]
    at = moment(number)
    rows.add(
        Repository,
        id=id,
        type="model",
        namespace_id=owner,
        name=name,
        created_by_id=owner,
        summary=summary,
        private=dice.random() < 0.05,
        is_main_held=dice.random() < 0.002,
        gated="auto" if dice.random() < 0.02 else "",
        archived_at=at if dice.random() < 0.01 else None,
        format="peft",
        kind=kind,
        base=base,
        task=task,
        license=license,
        rank=dice.choice([4, 8, 16, 64]),
        parameters=dice.randrange(10**7),
        size=dice.randrange(10**8),
        tags=json.dumps(tags),
        state=state,
        outcome=state,
        is_verified=state == "passed",
        targets="\nq_proj\nv_proj\n",
        serves=dice.choices(SERVES, [5, 3, 1, 1])[0] if state == "passed" else "",
        search_text=search_terms.search_text(full_name, summary, base, kind, task, title=title, tags=tags),
        downloads=int(dice.paretovariate(0.8)),
        likes=int(dice.paretovariate(1.2)) - 1,
        trending=dice.random(),
        created_at=at,
        updated_at=moment(number * 7919 % 10**7),
    )
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
