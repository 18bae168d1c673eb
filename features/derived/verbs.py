"""Derived versions: the same adapter in another format or precision, or a merge of several; and holds that follow them.

A conversion of a version is committed onto it, on the branch derived/FORMAT of its repository; with another repository
as its target, and always for a merge, the result is the next version of that repository's main.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from dovetail.adapters import convert
from dovetail.adapters.merge import METHODS, Recipe, Source, check, check_weight, head_of
from features.derived.models import DerivedSource, DerivedVersion
from registry.kernel import audit, policy
from registry.kernel.errors import QuotaExceeded, ValueInvalid
from registry.kernel.outbox import Kind
from registry.kernel.policy import Caller, Permission
from registry.kernel.seams import Feature
from registry.models import ModerationDecision, OutboxEvent, Ref, Repository, Revision
from registry.proof.verified import withdrawals
from registry.proof.verified.withdrawals import LINEAGE
from registry.publish import push
from registry.repos import downloads, lookup, pull, refs
from registry.repos.refs import MAIN, Viewer

State = DerivedVersion.State
Options = Mapping[str, Any]
FORMATS = (*convert.FORMATS, *convert.VARIANTS)
BRANCH = f"{refs.BRANCHES}derived/"
WAITING_AT_MOST = 20  # requests of one person
RETRY = timedelta(seconds=60)  # after a failure, the same request only tells of it
EDITION = 3  # of what conversions and merges write: a new one makes the same request another one


@dataclass(frozen=True)
class Origin:
    """A version to derive from, and its weight in a merge."""

    revision: Revision
    weight: float = 1.0


def request_conversion(
    origin: Revision, to: str, by: Caller, into: Repository | None = None, asked: Options | None = None
) -> DerivedVersion:
    """Queue a conversion, or return the one that was asked for before. Raises what `_request` raises.

    `asked` are the arguments of `convert.stated` beside the card: what the format does not say.
    """
    if to not in FORMATS:
        raise ValueInvalid(f"Unknown format {to[:40]!r}.", fix=f"Use one of {', '.join(FORMATS)}.")
    with _refusals():
        convert.stated({}, **(asked or {}))
    return _request([Origin(origin)], to, asked or {}, by, into)


def request_merge(origins: Sequence[Origin], recipe: Recipe, by: Caller, into: Repository) -> DerivedVersion:
    """Queue a merge, or return the one that was asked for before. Raises what `_request` raises."""
    named = [Source(origin.revision.repository.full_name, {}, origin.weight) for origin in origins]
    with _refusals():
        check(named, recipe)
    options = {name: value for name, value in asdict(recipe).items() if name != "method"}
    return _request(origins, recipe.method, options, by, into)


def chosen_head(text: str, origins: Sequence[Origin]) -> int:
    """Return `Recipe.head` of what somebody asked for. Raises ValueInvalid for an adapter that is not merged."""
    with _refusals():
        return head_of(text, [origin.revision.repository.full_name for origin in origins])


def find_origin(full_name: str, rev: str, weight: float, viewer: Viewer) -> Origin:
    """Return the version that somebody names as a source of a merge.

    Raises what lookup.find raises for DOWNLOAD, RevisionNotFound, and ValueInvalid for the weight.
    """
    repository = lookup.find(full_name, viewer.by, Permission.DOWNLOAD)
    revision = pull.resolve_pulled(repository, rev, viewer)
    pull.require_shown(revision, viewer.by)
    with _refusals():
        check_weight(repository.full_name, weight)
    return Origin(revision, weight)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn the format library's refusals of a request into the catalogue's, with the field that is wrong."""
    try:
        yield
    except convert.Unconvertible as refusal:
        fix = f"Methods are {', '.join(METHODS)}." if refusal.option == "method" else f"Change `{refusal.option}`."
        raise ValueInvalid(str(refusal), fix=fix, field=refusal.option) from None


def is_merge(derived: DerivedVersion) -> bool:
    return derived.method in METHODS


def _request(
    origins: Sequence[Origin], method: str, options: Options, by: Caller, into: Repository | None
) -> DerivedVersion:
    """Raises what policy.require raises for DOWNLOAD of the sources and PUSH to the target, and QuotaExceeded."""
    for origin in origins:
        require_source(origin.revision, by)
        if origin.revision.repository.type != Repository.Type.MODEL:
            raise ValueInvalid(f"{origin.revision.repository.full_name} is not an adapter.", fix="Choose an adapter.")
    target = into or origins[0].revision.repository
    ref = MAIN if into else f"{BRANCH}{method}"
    push.require_for(target, MAIN, by)
    key = _key(origins, method, options, target, ref)
    with transaction.atomic():
        policy.require_now(by, Permission.PUSH, target)  # locks: the same request twice at once is one
        known = DerivedVersion.objects.filter(key=key).first()
        if known is not None and not _is_stale(known):
            return known
        derived = known or _new(key, origins, method, options, target, ref, by)
        if known is not None:
            _again(known, by)
        audit.record(by.user, "adapter:derive", f"{target.full_name}@{ref}", about=target, after=_told(derived))
        transaction.on_commit(partial(notify, derived.pk), robust=True)
    return derived


def require_source(revision: Revision, by: Caller) -> None:
    """Raise unless the caller may download the version, and each of its files.

    Raises what policy.require and pull.require_served raise, and FileNotSearched.
    """
    policy.require(by, Permission.DOWNLOAD, revision.repository)
    pull.require_served(revision, by)
    downloads.require_all_searched([revision], revision.repository, by)


def notify(number: int) -> None:
    """Tell a worker that a request waits."""
    import_string(settings.DERIVE_DOORBELL)(number)


def sweep() -> None:
    """Tell a worker of the requests that wait: the message of one may be lost."""
    due = DerivedVersion.objects.filter(finished_at__isnull=True, free_at__lte=timezone.now())
    if (oldest := due.order_by("free_at").values_list("pk", flat=True).first()) is not None:
        notify(oldest)


# --- lineage ---------------------------------------------------------------------------------------------------------
def made_of(revision: Revision) -> DerivedVersion | None:
    """Return how the version was derived, with its sources; None for one that somebody pushed."""
    rows = _with_sources(DerivedVersion.objects.filter(revision=revision))
    return rows.first()


def by_id(number: int) -> DerivedVersion:
    """Return a derived version with its sources."""
    return _with_sources(DerivedVersion.objects.filter(pk=number)).get()


def made_from(revision: Revision, by: Caller) -> list[DerivedVersion]:
    """Return what was derived of the version, as far as the caller sees it, newest first."""
    if not DerivedSource.objects.filter(revision=revision).exists():
        return []
    rows = DerivedVersion.objects.filter(sources__revision=revision).distinct().order_by("-pk")
    derived = _with_sources(rows)[:100]
    return [
        row
        for row in derived
        if policy.may_see(by, row.repository)
        and (row.revision is None or pull.is_shown(row.revision, by))
        and (row.state == State.DONE or policy.may_write(by, row.repository))
    ]


def shown_sources(derived: DerivedVersion, by: Caller) -> list[tuple[DerivedSource, bool]]:
    """Return each source, and whether the caller may see it: its name is told to nobody else."""
    sources = derived.sources.all()
    return [
        (
            source,
            source.revision is not None
            and policy.may_see(by, source.revision.repository)
            and pull.is_shown(source.revision, by),
        )
        for source in sources
    ]


def seen_sources(revision: Revision, by: Caller) -> Iterator[Repository]:
    """Yield the repositories that the version was made of, as far as the caller sees them."""
    made = made_of(revision)
    for source, is_shown in shown_sources(made, by) if made else ():
        if is_shown and source.revision:
            yield source.revision.repository


def _with_sources(rows: QuerySet[DerivedVersion]) -> QuerySet[DerivedVersion]:
    related = rows.select_related("repository__namespace__person", "revision", "by")
    return related.prefetch_related("sources__revision__repository__namespace__person")


# --- rows ------------------------------------------------------------------------------------------------------------
def _key(origins: Sequence[Origin], method: str, options: Options, target: Repository, ref: str) -> str:
    sources = [[origin.revision.repository_id, origin.revision.oid, origin.weight] for origin in origins]
    asked = [EDITION, sources, method, options, target.pk, ref]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _is_stale(known: DerivedVersion) -> bool:
    """Return whether an earlier request must be done again: it failed a while ago, or its branch was deleted since.

    A client that waits asks the same again, and must learn of the failure.
    """
    if known.state in (State.REFUSED, State.ERRORED):
        return known.finished_at is not None and known.finished_at + RETRY <= timezone.now()
    return known.state == State.DONE and not Ref.objects.filter(repository=known.repository, name=known.ref).exists()


def _new(
    key: str, origins: Sequence[Origin], method: str, options: Options, target: Repository, ref: str, by: Caller
) -> DerivedVersion:
    waiting = DerivedVersion.objects.filter(by=by.user, finished_at__isnull=True).count()
    if waiting >= WAITING_AT_MOST:
        raise QuotaExceeded(f"{waiting} of your derived versions are already queued.", fix="Try again later.")
    assert by.user is not None, "policy lets nobody push without a person"
    derived = DerivedVersion.objects.create(
        key=key,
        repository=target,
        ref=ref,
        method=method,
        options=options,
        by=by.user,
        token=by.token,
        is_by_token=by.token is not None,
    )
    DerivedSource.objects.bulk_create(
        DerivedSource(
            derived=derived,
            position=position,
            revision=origin.revision,
            weight=origin.weight,
            name=origin.revision.repository.full_name,
            oid=origin.revision.oid,
        )
        for position, origin in enumerate(origins)
    )
    return derived


def _again(known: DerivedVersion, by: Caller) -> None:
    known.state, known.reason, known.facts, known.revision = State.QUEUED, "", {}, None
    known.by = by.user  # type: ignore[assignment]  # only a person may ask, so that the caller has a user
    known.token, known.is_by_token = by.token, by.token is not None
    known.attempts, known.finished_at, known.free_at = 0, None, known.created_at
    known.save()


def _told(derived: DerivedVersion) -> str:
    sources = ", ".join(map(str, derived.sources.all()))
    return f"{derived.method} of {sources}"[:500]


Action = ModerationDecision.Action


def consume(event: OutboxEvent) -> None:
    """Hold back or release the versions that were derived of what the event is about."""
    if event.kind not in (Kind.QUARANTINED, Kind.RELEASED):
        return
    decision = ModerationDecision.objects.filter(pk=event.data.get("decision")).select_related("case").first()
    if decision is None:
        return
    for derived in _derived_of(decision):
        revision = derived.revision
        if revision is None:
            continue
        if event.kind == Kind.QUARANTINED:
            withdrawals.hold(revision, _reason(decision), decision.case, finding=LINEAGE)
        elif _may_return(derived, revision):
            withdrawals.decide(
                revision, Action.RELEASE, None, "What it was derived of is released.", "", finding=LINEAGE
            )


def hold_if_source_is_held(number: int) -> None:
    """Hold back a new derived version if one of its sources was held back while it was made."""
    derived = DerivedVersion.objects.select_related("revision__repository__namespace").get(pk=number)
    held = next((source for source in _sources(derived) if _is_held(source)), None)
    decision = withdrawals.decision_in_force(held if held.is_quarantined else held.repository) if held else None
    if derived.revision is not None and decision is not None:
        withdrawals.hold(derived.revision, _reason(decision), decision.case, finding=LINEAGE)


def _derived_of(decision: ModerationDecision) -> Iterable[DerivedVersion]:
    rows = DerivedVersion.objects.select_related("revision__repository__namespace")
    if decision.revision is not None:
        return rows.filter(sources__revision=decision.revision).distinct()
    # The versions of a repository that is held as a whole are held with it; those elsewhere are not.
    return (
        rows.filter(sources__revision__repository=decision.repository)
        .exclude(repository=decision.repository)
        .distinct()
    )


def _may_return(derived: DerivedVersion, revision: Revision) -> bool:
    """Return whether lineage alone holds it back, and no source is held any more."""
    decision = withdrawals.decision_in_force(revision)
    is_by_lineage = decision is not None and decision.finding == LINEAGE
    return revision.is_quarantined and is_by_lineage and not any(map(_is_held, _sources(derived)))


def _sources(derived: DerivedVersion) -> list[Revision]:
    rows = derived.sources.filter(revision__isnull=False).select_related("revision__repository")
    return [source.revision for source in rows if source.revision is not None]


def _is_held(revision: Revision) -> bool:
    return revision.is_quarantined or revision.repository.is_quarantined


def _reason(decision: ModerationDecision) -> str:
    return f"It was derived of a version that is held back: {decision.reason}"


def _in_use() -> Q:
    return Q(Exists(DerivedSource.objects.filter(revision=OuterRef("pk"), derived__finished_at=None)))


FEATURE = Feature(consumers=(("lineage", consume),), every_minute=(sweep,), in_use=(_in_use,), made_of=seen_sources)
