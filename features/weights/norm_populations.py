"""The norms that adapters of one base and method have, computed by a worker now and then; outliers are told by them."""

import time
from collections.abc import Iterator
from datetime import timedelta
from statistics import median

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from dovetail.adapters.files import config as configs
from dovetail.adapters.shapes import passport
from features.weights import passports
from features.weights.models import NormPopulation, WeightPassport
from registry.kernel import policy
from registry.kernel.policy import NOBODY
from registry.models import Repository
from registry.repos import pull
from registry.repos.contents import facts
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN

MIN_ADAPTERS = 20  # of fewer a median means little, and would tell of one of them
MAX_ADAPTERS = 500  # the newest of a base and method
AGE = timedelta(hours=6)
SECONDS = 20  # after that no population is begun: the others wait for the next tick
BATCH = 50  # passports in memory, each of which may have megabytes

Files = dict[str, Entry]


def review() -> int:
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
            if passports.method_of(config) == kind and files[path].sha256 in rows:
                yield passports.modules_of(rows[files[path].sha256], config)


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
