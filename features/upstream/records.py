"""Adapters of other hubs as read-only repositories here, so that workers prove them and moderators can hold them.

A request for the config of an adapter makes the hub want it. A worker then fetches what is missing of that commit and
writes the record: a repository with `source`, which no list shows, with one revision for each commit that main meant.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from features.upstream import fetching, reading, store
from features.upstream.asking import UpstreamArriving, UpstreamUnavailable
from features.upstream.models import UpstreamRepository
from features.upstream.reading import Version
from registry.bytes import blocked_files, tensor_digests
from registry.kernel import policy, refusals
from registry.kernel.callers import Caller, Permission
from registry.kernel.errors import RegistryError, RevisionNotFound
from registry.models import Namespace, Ref, Repository, Revision, RevisionFile, User
from registry.people import accounts
from registry.proof import pickle_scans
from registry.publish.push import rows
from registry.repos import lookup, pull
from registry.repos.contents import facts
from registry.repos.manifest import Entry
from registry.repos.refs import MAIN, Viewer

log = logging.getLogger(__name__)
CONFIG = "adapter_config.json"
READER = "upstream:reader"  # the machine that is the author of records
AT_ONCE, FETCH_SECONDS = 5, 600.0
TRIES, PAUSE = 12, timedelta(minutes=1)


def is_adapter(at: Version) -> bool:
    """Return whether a version holds an adapter, by the names of its files."""
    return at.repository.type == Repository.Type.MODEL and any(
        path.rpartition("/")[2] == CONFIG for path in at.entries()
    )


def _may_be_recorded(at: Version) -> bool:
    """Return whether a version may be proven here: an adapter for everybody, and not larger than a push may be."""
    size = sum(entry.size for entry in at.entries().values())
    return is_adapter(at) and not at.repository.restricted and size <= settings.MAX_PUSH_BYTES


def want(at: Version) -> None:
    """Let a worker record the version, if main means it there, it may be recorded, and it is not."""
    row = at.repository
    if row.wanted == at.oid or at.oid != reading.main_of(row) or not _may_be_recorded(at) or find(row, at.oid):
        return
    UpstreamRepository.objects.filter(pk=row.pk).update(wanted=at.oid, tries=0, free_at=timezone.now())


def find(row: UpstreamRepository, oid: str) -> Revision | None:
    """Return the recorded revision of a commit."""
    namespace, _, name = row.folded.partition("/")
    revisions = Revision.objects.filter(repository__namespace__name__lower=namespace, repository__name__lower=name)
    recorded = revisions.filter(oid=oid, repository__type=row.type, repository__binned_at__isnull=True)
    return recorded.exclude(repository__source="").select_related("repository__namespace__person").first()


def repository_of(row: UpstreamRepository) -> Repository | None:
    """Return the record of a repository of another hub."""
    return lookup.named(row.folded, row.type).exclude(source="").select_related("namespace__person").first()


def require_not_held(row: UpstreamRepository, asked: str) -> None:
    """Raise RepositoryNotFound for what moderators hold back."""
    record = repository_of(row)
    if record is not None and policy.is_withheld(record):
        raise refusals.repository_not_found(asked)


def require_shown(at: Version, viewer: Viewer) -> None:
    """Raise for a version that this reader may not have: RevisionNotFound for a held one, or an unproven adapter.

    Below /verified and under the pull policy `verified`, main of an adapter is what its record has as `verified`; what
    comes here was not proven yet.
    """
    recorded = find(at.repository, at.oid)
    if recorded is not None:
        pull.require_shown(recorded, viewer.by)
        pull.require_served(recorded, viewer.by)
    elif viewer.prefers_verified(at.revision.repository) and is_adapter(at):
        want(at)
        raise RevisionNotFound(
            f"{at.oid} of {at.repository.full_name} is not verified: this hub has not read it before.",
            fix="Try again in a few minutes, once it has been validated.",
        )


def refuse_arriving(full_name: str, type: str, by: Caller) -> None:
    """Raise UpstreamArriving for an adapter of another hub that has no record yet, and let a worker write it.

    Raises what reading it there does as well: UpstreamUnavailable, UpstreamRefused, and refusals of this caller.
    """
    row = None if settings.UPSTREAM.mode == "redirect" else reading.find(full_name, type)
    if row is None:
        return
    require_not_held(row, asked=full_name)
    reading.require_permitted(by, Permission.DOWNLOAD, row, asked=full_name)
    at = reading.version(row, "main")
    at.require_allowed()
    want(at)
    row.refresh_from_db(fields=["wanted"])
    if row.wanted:
        raise UpstreamArriving(f"{row.full_name} is being fetched from {row.origin}.")


def keep_current(full_name: str, type: str) -> None:
    """Let a worker record what main means by now at the other hub, which is asked when its answer has grown old."""
    try:
        row = reading.find(full_name, type)
        if row is not None:
            want(reading.version(row, "main"))
    except RegistryError as problem:
        log.info("%s: %s", full_name, problem.detail)


def work() -> int:
    """Record the versions that are wanted, a few at a time; return how many were. Workers may do this at once."""
    if not settings.UPSTREAM.hubs or settings.UPSTREAM.mode == "redirect":
        return 0
    done, now = 0, timezone.now()
    waiting = UpstreamRepository.objects.exclude(wanted="").filter(free_at__lte=now).order_by("free_at")
    for row in waiting[:AT_ONCE]:
        claim = UpstreamRepository.objects.filter(pk=row.pk, wanted=row.wanted, free_at=row.free_at)
        if claim.update(free_at=now + PAUSE + timedelta(seconds=FETCH_SECONDS)):
            done += _try(row)
    return done


def _try(row: UpstreamRepository) -> bool:
    mine = UpstreamRepository.objects.filter(pk=row.pk, wanted=row.wanted)
    try:
        _record(reading.version(row, row.wanted))
    except UpstreamUnavailable as problem:
        is_last = row.tries + 1 >= TRIES
        mine.update(tries=row.tries + 1, free_at=timezone.now() + PAUSE, **({"wanted": ""} if is_last else {}))
        log.info("%s was not recorded: %s", row.full_name, problem.detail)
        return False
    except RegistryError as problem:
        mine.update(wanted="")
        log.warning("%s will not be recorded: %s", row.full_name, problem.detail)
        return False
    mine.update(wanted="")
    return True


def _record(at: Version) -> None:
    row, entries = at.repository, at.entries()
    if not _may_be_recorded(at):
        return
    at.require_allowed()
    for entry in entries.values():
        if store.find(row, entry) is None:
            follower = fetching.follow(row, at.oid, entry)
            try:
                follower.wait(FETCH_SECONDS)
            finally:
                follower.close()
    whole = store.complete(row, entries)
    described = facts.read_facts(whole, row.type)
    if described.description is None:
        return
    blocked_files.require_unblocked({path: entry.sha256 for path, entry in whole.items()})
    with transaction.atomic():
        repository = _repository(row)
        revision = _revision(repository, at, whole)
        Ref.objects.update_or_create(repository=repository, name=MAIN, defaults={"revision": revision})
        tensor_digests.enqueue({path: entry.sha256 for path, entry in whole.items()})
        verdict = rows.judged(revision, described)
        rows.show(repository, whole, described, revision.created_at, verdict)


def _repository(row: UpstreamRepository) -> Repository:
    owner, _, name = row.full_name.partition("/")
    namespace = Namespace.objects.filter(name__lower=owner.lower()).first()
    if namespace is None:
        namespace = Namespace.objects.create(name=owner, kind=Namespace.Kind.ORGANIZATION, source=row.origin)
    if not namespace.source:
        raise UpstreamUnavailable(f"{owner} is a name of this hub now.")
    made = {"name": name, "source": row.origin, "created_by": _reader()}
    found = Repository.objects.filter(type=row.type, namespace=namespace, name__lower=name.lower()).first()
    return found or Repository.objects.create(type=row.type, namespace=namespace, **made)


def _revision(repository: Repository, at: Version, entries: dict[str, Entry]) -> Revision:
    columns = {
        "title": f"Read from {at.repository.origin}"[:500],
        "author": _reader(),
        "created_at": at.revision.created_at,
    }
    revision, is_new = Revision.objects.get_or_create(repository=repository, oid=at.oid, defaults=columns)
    if is_new:
        RevisionFile.objects.bulk_create(rows.files_of(revision, entries.values()), batch_size=500)
        pickle_scans.enqueue(revision.pk)
    return revision


def _reader() -> User:
    known = User.objects.filter(username=READER).first()
    if known is not None:
        return known
    return accounts.create_machine(READER, User.Kind.ROBOT, None, full_name="Reads from other hubs")
