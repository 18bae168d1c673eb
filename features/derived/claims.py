"""The jobs of derived versions: claimed by a worker for some minutes, and committed as one revision with lineage."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from features.derived.models import MAX_REASON, DerivedSource, DerivedVersion
from features.derived.verbs import is_merge, require_source
from registry.bytes import blobs, blocked_files, intake, tensor_digests
from registry.kernel import policy, quotas, seams
from registry.kernel.errors import NotAllowed
from registry.kernel.policy import Caller, Permission
from registry.models import Ref, Repository, Revision
from registry.publish import branches, push
from registry.publish.push.content import entry as small_entry
from registry.repos import manifest, pull, refs
from registry.repos.contents import facts
from registry.repos.manifest import Entry
from registry.sql import lock_first

State = DerivedVersion.State
LEASE = timedelta(minutes=15)
ATTEMPTS, PAUSE = 3, timedelta(seconds=60)
UNNAMED = "a version that not everybody here sees"
SMALL_BYTES = 1 << 20  # of a file that is stored as git stores text
TEXTS = (".json", ".jsonl", ".md", ".txt", ".gitattributes", "LICENSE", "NOTICE")
KEPT = (".gitattributes", "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE")  # of the version before


@dataclass(frozen=True)
class Work:
    """A claimed request: who asked, and the versions that it is made of, in their order."""

    derived: DerivedVersion
    by: Caller
    revisions: list[Revision]

    @property
    def sources(self) -> list[tuple[DerivedSource, bool]]:
        """The sources, each with whether everybody who reads the result may know its name."""
        rows = zip(self.derived.sources.all(), self.revisions, strict=True)
        return [(row, policy.may_name(revision.repository, self.derived.repository)) for row, revision in rows]


def claim() -> DerivedVersion | None:
    """Claim the request that waited longest; a worker that dies gives it back when the lease ends."""
    now = timezone.now()
    waiting = DerivedVersion.objects.filter(finished_at__isnull=True)
    with transaction.atomic():
        while row := lock_first(waiting.filter(free_at__lte=now).order_by("free_at", "pk")):
            if row.attempts < ATTEMPTS:
                waiting.filter(pk=row.pk).update(free_at=now + LEASE, state=State.RUNNING, attempts=row.attempts + 1)
                related = DerivedVersion.objects.select_related("repository__namespace__person", "by", "token")
                return related.get(pk=row.pk)
            _finish(row, State.ERRORED, "The worker ended before it was done, several times.")
    return None


def open_work(derived: DerivedVersion) -> Work:
    """Return what a claimed request needs.

    Raises the refusal if the requester may not do it any more, or a source is gone.
    """
    if derived.is_by_token and (derived.token is None or derived.token.has_ended):
        raise NotAllowed("The token that requested it was revoked or has expired.", fix="Request it again.")
    by = Caller(derived.by, derived.token)
    related = derived.sources.select_related("revision__repository__namespace__person")
    revisions = []
    for source in related:
        if source.revision is None:
            raise NotAllowed(f"{source} was deleted.", fix="Choose versions that exist.")
        require_source(source.revision, by)
        revisions.append(source.revision)
    return Work(derived, by, revisions)


def commit(work: Work, folder: Path, told: Mapping[str, Any]) -> Revision:
    """Store the files of a folder and commit them as the result. Raises what a push raises."""
    derived, by = work.derived, work.by
    push.require_for(derived.repository, refs.MAIN, by)
    made = _store(derived.repository, folder)
    blocked_files.require_unblocked({path: entry.sha256 for path, entry in made.items()})
    facts.read_facts(_with_kept(made, _place(work)), derived.repository.type)  # cached: no reading under the lock
    with transaction.atomic():
        repository = policy.require_now(by, Permission.PUSH, derived.repository)  # locks
        push.require_for(repository, refs.MAIN, by)
        rows = DerivedVersion.objects.filter(pk=derived.pk, finished_at__isnull=True)
        if not rows.exists():  # the lease ended meanwhile
            raise NotAllowed("Another worker has finished this request.", fix="See its result.")
        onto = _place(work)
        if derived.ref != refs.MAIN and not Ref.objects.filter(repository=repository, name=derived.ref).exists():
            branches.create_ref(repository, derived.ref, onto, by)
        entries = _with_kept(made, onto)
        tensor_digests.enqueue({path: entry.sha256 for path, entry in made.items()})
        seams.large_files(entry.sha256 for entry in made.values() if entry.is_lfs)
        intent = push.Intent(repository, derived.ref, by, _title(derived), _message(work))
        revision = push.put(intent, entries, onto=onto).revision
        rows.update(state=State.DONE, reason="", facts=told, revision=revision, finished_at=timezone.now())
    return revision


def refuse(derived: DerivedVersion, reason: str) -> None:
    """End a request that cannot be done."""
    _finish(derived, State.REFUSED, reason)


def put_off(derived: DerivedVersion, reason: str) -> None:
    """Have a request that the hub failed at tried again in a minute, and end it after the last attempt."""
    if derived.attempts >= ATTEMPTS:
        _finish(derived, State.ERRORED, reason)
    else:
        rows = DerivedVersion.objects.filter(pk=derived.pk, finished_at__isnull=True)
        rows.update(state=State.QUEUED, free_at=timezone.now() + PAUSE, reason=reason[:MAX_REASON])


def _finish(derived: DerivedVersion, state: str, reason: str) -> None:
    rows = DerivedVersion.objects.filter(pk=derived.pk, finished_at__isnull=True)
    rows.update(state=state, reason=reason[:MAX_REASON], finished_at=timezone.now())


def _place(work: Work) -> Revision:
    """Return the revision that the result comes after: the source of a branch of its own, else the head of main."""
    is_own = work.derived.ref != refs.MAIN
    return work.revisions[0] if is_own else refs.resolve_ref(work.derived.repository, refs.MAIN)


def _with_kept(made: dict[str, Entry], onto: Revision) -> dict[str, Entry]:
    return {path: entry for path, entry in pull.entries(onto).items() if path in KEPT} | made


def _store(repository: Repository, folder: Path) -> dict[str, Entry]:
    """Store each file, and return path → entry; they came out of a sandbox, so they are hashed here."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    sizes = {path: path.stat().st_size for path in paths}
    quotas.check_push(sum(quotas.check_file(path.name, size) for path, size in sizes.items()))
    made: dict[str, Entry] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if name.endswith(TEXTS) and sizes[path] <= SMALL_BYTES:
            content = path.read_bytes()
            intake.receive_inline(repository, content)
            made[name] = small_entry(name, content)
        else:
            digest = blobs.digest_of_file(path)
            intake.store_and_register(repository, digest, partial(blobs.pieces_of_file, path))
            made[name] = manifest.lfs_entry(name, digest.sha256, digest.size)
    return made


def _title(derived: DerivedVersion) -> str:
    sources = list(derived.sources.all())
    if is_merge(derived):
        return f"Merge {len(sources)} adapters by {derived.method}"
    return f"Derive {derived.method} of {sources[0].oid[:7]}"


def _message(work: Work) -> str:
    names = [(str(source) if is_named else UNNAMED, source.weight) for source, is_named in work.sources]
    lines = [f"{name} × {weight:g}" if is_merge(work.derived) else name for name, weight in names]
    return "Derived from:\n" + "\n".join(lines)
