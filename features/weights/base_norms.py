"""Norms of bases: measured once for each digest of a base's files, and read for the share that adapters change."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from dovetail.adapters.checks.base import FIELD
from dovetail.adapters.files import config as configs
from dovetail.adapters.shapes import base_norms
from features.weights.models import BaseNorms
from registry.models import Base, Revision
from registry.proof.verdicts import requests
from registry.repos import bases

MAX_ATTEMPTS = 3
LEASE = timedelta(minutes=30)  # the largest base takes two minutes of one core
NO_BASE = "the adapter names no base whose weights are here"
NOT_YET = "the norms of the base are not measured yet"


@dataclass(frozen=True, slots=True)
class NormsOfBase:
    """The base of an adapter and its norms; without them `reason` says why."""

    base: str = ""
    sha256: str = ""
    norms: base_norms.BaseNorms | None = None
    reason: str = ""


def of_revision(revision: Revision, config: configs.Config) -> NormsOfBase:
    """Return the norms of the base that the verdict pinned, else of the one that the config names."""
    verdict = requests.in_force(revision)
    pin = verdict.report.base if verdict else None
    if pin and pin.sha256:
        return _of_base(pin.id, pin.sha256)
    base = bases.find_base(configs.text(config, FIELD) or "")
    if base is None or not base.has_weights:
        return NormsOfBase(base.id if base else "", reason=NO_BASE)
    return _of_base(base.id, base.sha256)


def _of_base(base: str, sha256: str) -> NormsOfBase:
    row = (
        BaseNorms.objects.filter(pk=sha256).values("problem", "measured_at", is_measured=Q(norms__isnull=False)).first()
    )
    if row and row["is_measured"]:
        return NormsOfBase(base, sha256, _norms(sha256, row["measured_at"].isoformat()))
    if row is None and not Base.objects.filter(sha256=sha256, has_weights=True).exists():
        return NormsOfBase(base, sha256, reason=NO_BASE)
    return NormsOfBase(base, sha256, reason=row["problem"] if row and row["problem"] else NOT_YET)


@lru_cache(maxsize=16)
def _norms(sha256: str, _measured_at: str) -> base_norms.BaseNorms:
    rows = BaseNorms.objects.get(pk=sha256).norms or {}
    return base_norms.BaseNorms({name: (norm, tuple(shape)) for name, (norm, shape) in rows.items()})


# --- for workers
def unmeasured() -> list[Base]:
    """Return the bases with weights whose norms wait to be measured, and that no other worker measures now."""
    measured = ~Q(norms=None, problem="")
    settled = BaseNorms.objects.filter(measured | Q(free_at__gt=timezone.now()), pk=OuterRef("sha256"))
    return list(Base.objects.filter(~Exists(settled), has_weights=True).order_by("added_at"))


def begin(base: Base) -> bool:
    """Claim a base and count the attempt; a worker that dies gives it back when the lease ends.

    Return False if another worker has it. Give it up, and return False, after MAX_ATTEMPTS that ended without norms.
    """
    row, _ = BaseNorms.objects.get_or_create(sha256=base.sha256)
    now = timezone.now()
    if row.free_at > now:
        return False
    if row.attempts >= MAX_ATTEMPTS:
        give_up(base, f"{MAX_ATTEMPTS} attempts ended before they were measured")
        return False
    claimable = BaseNorms.objects.filter(pk=row.pk, free_at=row.free_at)
    return bool(claimable.update(free_at=now + LEASE, attempts=F("attempts") + 1))


def release(base: Base) -> None:
    """Give a claimed base back, to be measured at the next tick."""
    BaseNorms.objects.filter(pk=base.sha256).update(free_at=timezone.now())


def record(base: Base, norms: dict[str, base_norms.Norm]) -> None:
    """Keep the norms of a base."""
    BaseNorms.objects.filter(pk=base.sha256).update(norms=norms, problem="", measured_at=timezone.now())


def give_up(base: Base, problem: str) -> None:
    """Note for good why the norms of a base cannot be measured."""
    BaseNorms.objects.filter(pk=base.sha256).update(problem=problem[:300], measured_at=timezone.now())
