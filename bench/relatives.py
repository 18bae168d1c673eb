"""Nearest relatives among many fingerprints on PostgreSQL: the hub's plain index, and pgvector's where it is there.

    make bench ARGS=relatives

DOVETAIL_BENCH_SCALE says how many fingerprints; each is the weights of a public adapter of its own. Relatives are
planted at several cosines. Milliseconds of wall time of a whole search, from the fingerprint to the files in sight.
"""

import hashlib
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import django
import numpy as np

from bench.line import Line
from bench.seeded import Rows, trust_us
from tests import services

COUNT = int(os.environ.pop("DOVETAIL_BENCH_SCALE", "100000"))  # hub.settings refuses it
PLANTED, BATCH = 200, 20_000
COSINES = (0.9995, 0.95, 0.9, 0.82)
HNSW_LISTS = (40, 200)  # candidates that HNSW keeps while it searches
Fingerprints = Any


def lines() -> Iterator[Line]:
    with services.postgres() as server:
        os.environ["DOVETAIL_DATABASE_URL"] = server
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        django.setup()
        from django.core.management import call_command  # the settings must be there before it is imported
        from django.db import connection

        call_command("migrate", verbosity=0)
        random = np.random.default_rng(5)
        originals = quantised(random.standard_normal((PLANTED, 512), dtype="f4"))
        planted = {cosine: moved(originals, cosine, random) for cosine in COSINES}
        began = time.monotonic()
        seed(originals, planted, random)
        yield Line("fingerprints written, with their keys", time.monotonic() - began, "s", note=f"{COUNT:,}")
        yield from plain(originals)
        yield from pgvector(originals)
        connection.close()  # PostgreSQL waits for its clients before it ends


def quantised(values: Fingerprints) -> Fingerprints:
    return np.rint(values * (127 / np.abs(values).max(axis=1, keepdims=True))).astype("i1")


def moved(originals: Fingerprints, cosine: float, random: np.random.Generator) -> Fingerprints:
    """Return a fingerprint for each, at about this cosine."""
    unit = originals / np.linalg.norm(originals, axis=1, keepdims=True)
    noise = random.standard_normal(unit.shape)
    noise -= (noise * unit).sum(axis=1, keepdims=True) * unit
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return quantised(cosine * unit + (1 - cosine**2) ** 0.5 * noise)


def file_of(label: object) -> str:
    return hashlib.sha256(str(label).encode()).hexdigest()


def seed(originals: Fingerprints, planted: dict[float, Fingerprints], random: np.random.Generator) -> None:
    from django.db import connection
    from django.utils import timezone

    from registry.models import Namespace, User

    trust_us()
    rows, now = Rows(), timezone.now()
    rows.add(Namespace, id=1, name="alice", kind="person", created_at=now)
    rows.add(User, id=1, namespace_id=1, username="alice", password="!", created_at=now)
    labelled: list[tuple[object, Fingerprints]] = [(("original", number), one) for number, one in enumerate(originals)]
    labelled += [((cosine, number), one) for cosine, many in planted.items() for number, one in enumerate(many)]
    for place, (label, fingerprint) in enumerate(labelled):
        add(rows, place + 1, file_of(label), fingerprint, now)
    place = len(labelled)
    while place < COUNT:
        rows.write()
        batch = quantised(random.standard_normal((min(BATCH, COUNT - place), 512), dtype="f4"))
        for one in batch:
            place += 1
            add(rows, place, file_of(place), one, now)
    rows.write()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def table(name: str) -> Any:
    """Return a table of the feature weights, without which a hub can be."""
    from django.apps import apps

    return apps.get_model("registry", name)


def add(rows: Rows, place: int, file: str, fingerprint: Fingerprints, now: object) -> None:
    from dovetail.adapters.shapes import passport
    from registry.models import Blob, Repository, Revision, RevisionFile

    oid, raw = file[:40], fingerprint.tobytes()
    rows.add(Blob, sha256=file, size=1000, created_at=now)
    rows.add(
        Repository,
        id=place,
        type="model",
        namespace_id=1,
        name=f"adapter-{place}",
        created_by_id=1,
        tags="[]",
        created_at=now,
        updated_at=now,
    )
    rows.add(Revision, id=place, repository_id=place, oid=oid, title="Weights", author_id=1, created_at=now)
    rows.add(
        RevisionFile,
        revision_id=place,
        path="adapter_model.safetensors",
        blob_id=file,
        size=1000,
        is_lfs=True,
        git_oid=oid,
    )
    keys = json.dumps(list(map(str, passport.bands_of(raw))))
    rows.add(table("WeightPassport"), file=file, modules="[]", spectrum="[]", fingerprint=raw, keys=keys)


def plain(originals: Fingerprints) -> Iterator[Line]:
    from dovetail.adapters.shapes import passport
    from registry.kernel.policy import Caller
    from registry.models import Repository

    passports = import_module("features.weights.passports")

    def search(number: int) -> set[str]:
        row = table("WeightPassport").objects.get(pk=file_of(("original", number)))
        return set(passports._nearest(row, Repository(pk=number + 1), Caller())[0])

    for loose in (0, passport.LOOSE):
        passport.LOOSE = loose
        yield from measured(f"plain index, {1 << loose} keys a band", search)


def pgvector(originals: Fingerprints) -> Iterator[Line]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
        if not cursor.fetchone()[0]:
            return
        cursor.execute("CREATE EXTENSION vector")
        for kind, operators in (("bit(512)", "bit_hamming_ops"), ("halfvec(512)", "halfvec_cosine_ops")):
            cursor.execute(f"CREATE TABLE vectors (file char(64), near {kind})")
            rows = list(table("WeightPassport").objects.values_list("file", "fingerprint"))
            with cursor.copy("COPY vectors FROM STDIN") as copy:
                for file, raw in rows:
                    copy.write_row((file, text_of(np.frombuffer(raw, "i1"), kind)))
            began = time.monotonic()
            cursor.execute("SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = 0")
            cursor.execute(f"CREATE INDEX vectors_near ON vectors USING hnsw (near {operators})")
            cursor.execute("SELECT pg_relation_size('vectors_near') / 1048576")
            size = cursor.fetchone()[0]
            yield Line(f"pgvector {kind}: building the index", time.monotonic() - began, "s", note=f"{size:,} MiB")
            cursor.execute("ANALYZE vectors; SET enable_seqscan = off")
            operator = "<~>" if kind.startswith("bit") else "<=>"
            for length in HNSW_LISTS:
                cursor.execute(f"SET hnsw.ef_search = {length}")

                def search(number: int, kind: str = kind, operator: str = operator, length: int = length) -> set[str]:
                    query = f"SELECT file FROM vectors ORDER BY near {operator} %s::{kind} LIMIT {length}"
                    cursor.execute(query, [text_of(originals[number], kind)])
                    return {file for [file] in cursor.fetchall()}

                yield from measured(f"pgvector {kind}, {length}", search)
            cursor.execute("DROP TABLE vectors")


def text_of(fingerprint: Fingerprints, kind: str) -> str:
    if kind.startswith("bit"):
        return "".join("1" if value >= 0 else "0" for value in fingerprint)
    return f"[{','.join(map(str, fingerprint.tolist()))}]"


def measured(name: str, search: Callable[[int], set[str]]) -> Iterator[Line]:
    took, hits = [], dict.fromkeys(COSINES, 0)
    for number in range(PLANTED):
        began = time.monotonic()
        files = search(number)
        took.append(1000 * (time.monotonic() - began))
        for cosine in COSINES:
            hits[cosine] += file_of((cosine, number)) in files
    slowest = f"95 of 100 within {sorted(took)[int(0.95 * len(took))]:.1f}"
    yield Line(f"{name}: a search", statistics.median(took), "ms", note=slowest)
    for cosine, count in hits.items():
        least = 0.99 if cosine == COSINES[0] else float("-inf")
        yield Line(f"{name}: found at cosine {cosine}", count / PLANTED, "of 1", least=least)
