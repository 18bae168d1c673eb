"""Weight passports of files: what was measured of them, and which other adapters hold nearly the same weights."""

import logging
import math
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Exists, IntegerField, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from dovetail.adapters.checks.base import FIELD
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Header
from dovetail.adapters.shapes import passport
from dovetail.adapters.shapes.base_norms import NO_SCALE, Layer, Share, by_layer
from dovetail.adapters.shapes.factors import Scales
from dovetail.adapters.shapes.passport import COPY, NEAR, Module, Outlier, Passport, Peers, bands_of, part_keys
from features.weights import base_norms
from features.weights.base_norms import NormsOfBase
from features.weights.models import FingerprintBand, NormPopulation, WeightPassport
from registry.kernel import policy
from registry.kernel.policy import NOBODY, Caller
from registry.models import Blob, Repository, Revision, RevisionFile
from registry.repos import digests, pull
from registry.repos.contents import facts
from registry.repos.digests import MAX_RELATIVES, Relative, with_originals
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN

logger = logging.getLogger(__name__)

MAX_CANDIDATES = 1000  # passports that share a key of the fingerprint
MAX_COMPARED = 50  # of them whose modules are compared one by one
MAX_PARTS = 20  # of the others that share most keys, of which one may hold a part of the same weights
MOST_OF_PARTS = 0.99  # cosine: it is no copy
MAX_MEASURED = 1 << 30  # bytes of a file: larger ones are whole models, and get no passport
MAX_COST = 10**11  # nor do files of so many and so high ranks: 90 of rank 1,024, which take half a minute
# The norms that adapters of one base and method have, computed by a worker now and then; outliers are told by them.
MIN_ADAPTERS = 20  # of fewer a median means little, and would tell of one of them
MAX_ADAPTERS = 500  # the newest of a base and method
AGE = timedelta(hours=6)
SECONDS = 20  # after that no population is begun: the others wait for the next tick
BATCH = 50  # passports in memory, each of which may have megabytes

SHARED = (
    "(SELECT count(*) FROM jsonb_array_elements_text(registry_weightpassport.keys) AS own(key) WHERE own.key = ANY(%s))"
)

Files = dict[str, Entry]


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """A file of a revision with its passport; `modules` have the scale of the config beside it.

    `shares` are those of its modules, in the same order.
    """

    path: str
    row: WeightPassport
    modules: tuple[Module, ...]
    base: NormsOfBase
    shares: tuple[Share, ...]
    peers: Peers  # adapters of the same base and method

    @property
    def outliers(self) -> list[Outlier]:
        return list(passport.outliers(self.modules, self.peers))

    @property
    def layers(self) -> list[Layer]:
        """The share of each layer, as far as it is known."""
        return by_layer(self.modules, self.shares)


def measure(file: str, blob: Blob, header: Header) -> None:
    """Measure the tensors of a blob, which are those of a file (its sha256), and keep the passport."""
    if blob.size > MAX_MEASURED or passport.cost(header) > MAX_COST:
        return
    try:
        _record(file, passport.measure(facts.open_blob(blob.sha256, blob.size), header))
    except (ArithmeticError, MemoryError, ValueError):  # of absurd values, also as numpy's LinAlgError
        logger.exception("The weights were not measured.", extra={"sha256": file})


def forget(files: Iterable[str]) -> None:
    """Delete the passports of files (sha256) that are deleted, so that those which return are measured again."""
    is_back = Blob.objects.filter(pk=OuterRef("file"))
    WeightPassport.objects.filter(~Exists(is_back), pk__in=files).delete()


def _record(file: str, passport: Passport) -> None:
    """Keep what was measured of a file (its sha256)."""
    rows = [
        [one.name, one.rank, one.norm, one.largest, one.effective_rank, one.shape, b64encode(one.sketch).decode()]
        for one in passport.modules
    ]
    values = {"modules": rows, "spectrum": passport.spectrum, "fingerprint": passport.fingerprint}
    keys = sorted({*bands_of(passport.fingerprint), *part_keys(passport.modules)})
    if connection.vendor == "postgresql":  # one row in place of twenty, each with four entries of indexes
        WeightPassport.objects.update_or_create(file=file, defaults=values | {"keys": list(map(str, keys))})
        return
    with transaction.atomic():
        row, _ = WeightPassport.objects.update_or_create(file=file, defaults=values)
        bands = [FingerprintBand(passport=row, key=key) for key in keys]
        FingerprintBand.objects.bulk_create(bands, ignore_conflicts=True)


def measured_files(
    revision: Revision, entries: Mapping[str, Entry], limit: int, only: str = ""
) -> Iterator[MeasuredFile]:
    """Yield what was measured of the first files of a revision that have a passport; a few queries for each.

    With `only`, that of the file of this path.
    """
    files = {path: entry.sha256 for path, entry in entries.items() if path == only or not only}
    for path, row in _passports_of(files, limit).items():
        config = facts.config_beside(entries, path)
        modules = modules_of(row, config)
        base = base_norms.of_revision(revision, config)
        reason = "" if config else NO_SCALE
        shares = tuple(_share(module, base, reason or base.reason) for module in modules)
        yield MeasuredFile(path, row, modules, base, shares, _peers(base, config))


def _peers(base: NormsOfBase, config: configs.Config) -> Peers:
    """Return the norms in adapters of this base and method; none without a config, which has the scale."""
    name, kind = base.base or configs.text(config, FIELD), method_of(config)
    row = NormPopulation.objects.filter(base=name, kind=kind).first() if name and kind else None
    return {module: (middle, count) for module, (middle, count) in row.medians.items()} if row else {}


def method_of(config: configs.Config) -> str:
    """Return the method of a config of PEFT as the catalogue has it, "" for others."""
    return (configs.text(config, "peft_type") or "").lower().replace("_", "-")


def _share(module: Module, base: NormsOfBase, reason: str) -> Share:
    return Share(None, reason=reason) if reason or base.norms is None else base.norms.share(module)


def _passports_of(files: Mapping[str, str], limit: int) -> dict[str, WeightPassport]:
    """Return the passports of the first of these files (path → sha256) that have one, by path; two queries.

    A passport may have megabytes and a tree thousands of files, so no more than `limit` of them are read.
    """
    known = WeightPassport.objects.only("pk").in_bulk(set(files.values()))
    paths = [path for path in sorted(files) if files[path] in known][:limit]
    rows = WeightPassport.objects.in_bulk({files[path] for path in paths})
    return {path: rows[files[path]] for path in paths if files[path] in rows}


def relatives_of_files(files: Mapping[str, str], besides: Repository, by: Caller) -> list[Relative] | None:
    """Return the relatives of the first of these files (path → sha256) that was measured; None before one is.

    Nine queries.
    """
    row = next(iter(_passports_of(files, 1).values()), None)
    return None if row is None else relatives(row, besides, by)


def modules_of(row: WeightPassport, config: configs.Config) -> tuple[Module, ...]:
    """Return the measured modules as they act, with the scale that this config gives them; without one as they are."""
    modules, scales = map(_module, row.modules), Scales(config)
    return tuple(_scaled(module, scales) for module in modules) if config else tuple(modules)


def _module(values: list[Any]) -> Module:
    """Return a stored module; older passports have no sketch of it."""
    name, rank, norm, largest, effective_rank, shape, *sketch = values
    form = (shape[0], shape[1]) if shape else None
    return Module(name, rank, norm, largest, effective_rank, form, b64decode(sketch[0]) if sketch else b"")


def _scaled(module: Module, scales: Scales) -> Module:
    scale = abs(scales.of(module.name, module.rank))
    norm, largest = (None if value is None else value * scale for value in (module.norm, module.largest))
    return replace(module, norm=norm, largest=largest)


def relatives(row: WeightPassport, besides: Repository, by: Caller) -> list[Relative]:
    """Return other repositories that the caller may see and that hold nearly these weights, the nearest first.

    At most MAX_RELATIVES; of each repository its nearest file, in the newest such revision. Seven queries.
    """
    near, parts = _nearest(row, besides, by)
    cosines = parts | near
    nearest: dict[int, RevisionFile] = {}
    for place in digests.newest_places(cosines, besides, by):
        best = nearest.setdefault(place.revision.repository_id, place)
        if cosines[place.blob_id] > cosines[best.blob_id]:
            nearest[place.revision.repository_id] = place
    places = sorted(nearest.values(), key=lambda place: -cosines[place.blob_id])[:MAX_RELATIVES]
    ids = [place.revision.repository_id for place in places]
    readable = set(Repository.objects.filter(policy.ungated_for(by), pk__in=ids).values_list("pk", flat=True))
    found = [
        replace(
            _relative(one, cosines[one.blob_id], one.revision.repository_id in readable),
            is_part=one.blob_id not in near,
        )
        for one in places
    ]
    return with_originals(found, [row.file], besides)


def _relative(place: RevisionFile, cosine: float, is_readable: bool) -> Relative:
    is_copy = cosine >= COPY
    return Relative(place, cosine if is_readable else 1.0 if is_copy else math.floor(cosine * 10) / 10, is_copy)


def _nearest(row: WeightPassport, besides: Repository, by: Caller) -> tuple[dict[str, float], dict[str, float]]:
    """Return the files that the caller may see elsewhere and whose weights are near, and those with parts of them.

    Each has its cosine.

    The nearer a fingerprint is, the more keys it shares: copies come first where too many files share one, by accident
    or because somebody made them so. Files that are deleted, in the bin, held back or of others' private repositories
    take no place among the candidates.
    """
    own, modules = bytes(row.fingerprint), modules_of(row, {})
    seen = pull.listable(by).exclude(revision__repository=besides)
    nearest = _sharing([*passport.probes_of(own), *passport.part_probes(modules)], seen)
    candidates = WeightPassport.objects.filter(pk__in=nearest)
    fingerprints = {file: bytes(other) for file, other in candidates.values_list("file", "fingerprint")}
    cosines = zip(fingerprints, map(abs, passport.cosines(own, list(fingerprints.values()))), strict=True)
    near = {file: value for file, value in cosines if value >= NEAR}
    parts = _parts(modules, [file for file in nearest if file not in near][:MAX_PARTS])
    return _in_place(row, modules, near) | {row.file: 1.0}, parts


def _sharing(keys: Sequence[int], seen: QuerySet[RevisionFile]) -> list[str]:
    """Return the passports of these files that share a key with these, those that share most keys first."""
    bands = FingerprintBand.objects.filter(Exists(seen.filter(blob=OuterRef("passport"))), key__in=keys)
    shared = dict(bands.values_list("passport").annotate(n=Count("pk")).order_by("-n", "passport")[:MAX_CANDIDATES])
    if connection.vendor == "postgresql":
        texts = list(map(str, keys))
        count = RawSQL(SHARED, [texts], output_field=IntegerField())  # noqa: S611  # a constant
        rows = WeightPassport.objects.filter(Exists(seen.filter(blob=OuterRef("pk"))), keys__has_any_keys=texts)
        shared |= dict(rows.annotate(n=count).order_by("-n", "pk").values_list("pk", "n")[:MAX_CANDIDATES])
    return sorted(shared, key=lambda file: (-shared[file], file))[:MAX_CANDIDATES]


def _parts(own: Sequence[Module], others: Sequence[str]) -> dict[str, float]:
    """Return the files that have a part of the same modules or a mixture of them, with a cosine below that of copies.

    Older passports have no sketches of modules, and so are not found.
    """
    rows = WeightPassport.objects.filter(pk__in=others).only("modules").iterator(chunk_size=10)
    found = {row.file: passport.contained(own, modules_of(row, {})) for row in rows}
    return {file: min(value, MOST_OF_PARTS) for file, value in found.items() if value}


def _in_place(row: WeightPassport, own: Sequence[Module], near: Mapping[str, float]) -> dict[str, float]:
    """Return the cosines times the share of the modules that stand in the same places, as far as that is near.

    The fingerprint is a sum, the same whatever the order of the layers. Of the first MAX_COMPARED alone, because a
    passport may have megabytes.
    """
    first = sorted((file for file in near if file != row.file), key=lambda file: -near[file])[:MAX_COMPARED]
    found = dict(near)
    for other in WeightPassport.objects.filter(pk__in=first).only("modules").iterator(chunk_size=10):
        found[other.file] *= passport.in_place(own, modules_of(other, {}))
    return {file: value for file, value in found.items() if value >= NEAR}


def compute_populations() -> int:
    """Compute the populations that are missing or old, the oldest first, and forget those that are too small.

    Return how many were computed.
    """
    until, done = time.monotonic() + SECONDS, 0
    groups = _public().values_list("base", "kind").annotate(adapters=Count("pk")).filter(adapters__gte=MIN_ADAPTERS)
    large = {(base, kind) for base, kind, _ in groups}
    known = {(row.base, row.kind): row for row in NormPopulation.objects.defer("medians")}
    NormPopulation.objects.filter(pk__in=[row.pk for key, row in known.items() if key not in large]).delete()
    due = timezone.now() - AGE
    ages = {key: known[key].computed_at if key in known else due for key in large}
    for key in sorted(large, key=lambda key: ages[key]):
        if ages[key] > due or time.monotonic() > until:
            break
        _compute(*key)
        done += 1
    return done


def _public() -> QuerySet[Repository]:
    """Return adapters whose weights anybody may have: norms tell of weights."""
    return Repository.objects.filter(policy.listed_to(NOBODY), gated="", format="peft").exclude(base="")


def _compute(base: str, kind: str) -> None:
    norms: dict[str, list[float]] = {}
    for modules in _adapters(base, kind):
        for module, members in passport.kinds_of(modules).items():
            if values := [one.norm for one in members if one.norm]:
                norms.setdefault(module, []).append(median(values))
    medians = {module: [median(values), len(values)] for module, values in norms.items() if len(values) >= MIN_ADAPTERS}
    defaults = {"medians": medians, "computed_at": timezone.now()}
    NormPopulation.objects.update_or_create(base=base, kind=kind, defaults=defaults)


def _adapters(base: str, kind: str) -> Iterator[tuple[passport.Module, ...]]:
    """Yield the modules of each adapter, with the scale of its config."""
    newest = _public().filter(base=base, kind=kind).order_by("-updated_at").values_list("pk", flat=True)
    trees = list(_files(list(newest[:MAX_ADAPTERS])).values())
    for start in range(0, len(trees), BATCH):
        chosen = [(files, path) for files in trees[start : start + BATCH] if (path := _weights(files))]
        rows = WeightPassport.objects.in_bulk({files[path].sha256 for files, path in chosen})
        for files, path in chosen:
            config = facts.config_beside(files, path)
            if method_of(config) == kind and files[path].sha256 in rows:
                yield modules_of(rows[files[path].sha256], config)


def _files(repositories: list[int]) -> dict[int, Files]:
    """Return the configs and the measured weights on main of each repository; one query."""
    measured = Exists(WeightPassport.objects.filter(pk=OuterRef("blob")))
    rows = pull.listable(NOBODY).filter(revision__refs__name=MAIN, revision__repository__in=repositories)
    trees: dict[int, Files] = {}
    for row in rows.filter(measured | Q(path__endswith=configs.NAME)).select_related("revision"):
        trees.setdefault(row.revision.repository_id, {})[row.path] = pull.entry_of(row)
    return trees


def _weights(files: Files) -> str:
    """Return the path of the measured weights nearest to the top, "" if there are none."""
    paths = [path for path in files if not path.endswith(configs.NAME)]
    return min(paths, key=lambda path: (path.count("/"), path), default="")
