"""The places of the domain where features join it: the core asks `joined()`, and never names a feature."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.kernel.errors import NotSupported
from registry.kernel.texts.cursors import Page

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from django.db.models import Model, Q, QuerySet

    from dovetail.adapters.files.header import Header
    from dovetail.adapters.results.report import Report
    from registry.kernel.callers import Caller
    from registry.kernel.policy import Permission
    from registry.models import (  # the tables are loaded after this module
        Blob,
        Case,
        Discussion,
        DiscussionEvent,
        Organization,
        OutboxEvent,
        Repository,
        Revision,
        User,
        Verdict,
    )


MOST_EXPORTED = 100_000  # rows of one kind of personal data


class Gauge(NamedTuple):
    """A number for Prometheus, with its whole name."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = {}


class TokenKind(NamedTuple):
    """Tokens of the hub, of no person, that are revoked where they leak; administrators are told."""

    pattern: bytes  # a regular expression of their values
    rows: "Callable[[], QuerySet[Any]]"  # with the columns `name` and `sha256`, of the value
    revoke_values: Callable[[Collection[str]], object]
    page: str  # the name of the route where administrators make a new one


class StoreKind(NamedTuple):
    """A kind of store for the bytes of the hub, by the scheme of its address."""

    open: "Callable[[SplitResult], Any]"  # returns a BlobStore
    load: Callable[[], object]  # what it needs, for processes that fork afterwards; it asks the store nothing


class Garbage(NamedTuple):
    """Objects of a feature in the store, beside blobs; the sweeps remove a part of them at each hour of the day."""

    name: str  # in the plural
    due: Callable[[], int]  # how many would go now
    sweep: Callable[[int | None], int]  # of an hour, or all
    sweep_lost: Callable[[datetime, int | None], int]  # objects without a row, older than this


@dataclass(frozen=True, slots=True)
class Threads:
    """Discussions and pull requests, as pushes and moderators need them; all but the first in a transaction."""

    # The permission that a push to the ref of a pull request needs, or (if True) opening one for a branch.
    permission_for: "Callable[[Repository, str, Caller, bool], Permission]"
    # Opens a pull request with a title and a text for a branch; its ref is the caller's to make.
    propose: "Callable[[Repository, str, str, Caller, str], Discussion]"
    note_commit: "Callable[[Repository, str, Revision], None]"  # writes down that the ref of a pull request moved
    hide: "Callable[[Discussion, Iterable[DiscussionEvent], User], None]"  # comments of one thread


@dataclass(frozen=True, slots=True)
class Feature:
    """Everything that one feature adds to the domain; each place is empty by default."""

    # Consumers of each event of the outbox, by a name for the log; one that fails is tried again later, alone.
    consumers: "tuple[tuple[str, Callable[[OutboxEvent], None]], ...]" = ()
    # In the transaction that records events: what must not wait for the consumers.
    recorded: "Callable[[Sequence[OutboxEvent]], object]" = lambda events: None
    # In the transaction of other changes to what anybody may pull of the repositories on which a condition holds, Q()
    # of all; and whether something may have gone.
    pulls_changed: "Callable[[Q, bool], object]" = lambda which, less: None
    # The read plane that clients use while the hub does not answer, and the keys that they trust, as REST says it.
    mirror: Callable[[], Mapping[str, object] | None] = lambda: None
    # The permanent public address of the bytes of this digest; "" if there is none.
    public_address: Callable[[str], str] = lambda sha256: ""
    # Called with a repository and the name of a branch or tag that is to be deleted; raises RefProtected to keep it.
    before_ref_deleted: "tuple[Callable[[Repository, str], None], ...]" = ()
    # Sweeps that a worker calls after the core's own, in bounded slices.
    every_minute: tuple[Callable[[], object], ...] = ()
    every_hour: tuple[Callable[[], object], ...] = ()
    # Rows with a column `blob`, whose bytes no sweep removes.
    blobs: "tuple[Callable[[], QuerySet[Any]], ...]" = ()
    stores: Mapping[str, StoreKind] = field(default_factory=dict)  # by scheme
    garbage: tuple[Garbage, ...] = ()
    restored: Callable[[], object] = lambda: None  # a backup, whose store may hold blobs alone
    # In the transaction of a push that brings these large files (sha256).
    large_files: Callable[[Iterable[str]], object] = lambda files: None
    # By which id clients of Xet read these files (sha256), of those that they can; None without Xet.
    xet_ids: Callable[[Collection[str]], Mapping[str, str]] | None = None
    # Called with a new file of weights (its sha256), the blob that holds its tensors, and their header.
    read_weights: "Callable[[str, Blob, Header], object]" = lambda file, blob, header: None
    files_gone: "Callable[[Sequence[str]], object]" = lambda files: None  # (sha256) whose bytes were deleted
    # Other repositories that hold nearly these files (path → sha256), as `same_weights` has them; None if not known.
    relatives: "Callable[[Mapping[str, str], Repository, Caller], Sequence[Any] | None]" = lambda files, besides, by: (
        None
    )
    # Another form of a file of a version (the path, the name of the form, a base): its text, and what is changed in it.
    # Raises ValueInvalid.
    file_view: "Callable[[Revision, str, str, str], tuple[str, str]] | None" = None
    threads: Threads | None = None
    # The engines beside those that prove that it has work for: workers take what waits for those that they have.
    engines: Callable[[], Iterable[str]] = lambda: ()
    # Every ten minutes: queues verdicts again that were proven with something else than a worker of these engines may
    # prove with today (digests of provenances).
    renew: Callable[[Collection[str], Collection[str]], object] = lambda engines, provenances: None
    # In the transaction that records what a verdict found: may queue work for its engines (`comparisons.ask`, without
    # a route), and returns the report as it is kept.
    judged: "Callable[[Verdict, Report], Report]" = lambda verdict, report: report
    # In a transaction that has locked the verdict: an engine that was asked without a route gave no answer, and why.
    unanswered: "Callable[[Verdict, str, str], object]" = lambda verdict, engine, why: None
    # Conditions on versions that it is about to read, whose files no rule removes meanwhile.
    in_use: "tuple[Callable[[], Q], ...]" = ()
    # The repositories that a version was made of, as far as a caller sees them.
    made_of: "Callable[[Revision, Caller], Iterable[Repository]]" = lambda revision, by: ()
    tokens: tuple[TokenKind, ...] = ()  # that the search for leaks knows
    gauges: Callable[[], Iterable[Gauge]] = lambda: ()  # at each scrape
    counts: Callable[[], Iterable[Gauge]] = lambda: ()  # over whole tables, and so at most once a minute
    # Whether nobody may take the name of a namespace; and to take it all the same (by=None is the operator), or raise.
    holds_name: Callable[[str], bool] = lambda name: False
    take_name: "Callable[[str, User | None], None]" = lambda name, by: None
    # Raises a better refusal for a repository (full name, type) that is not here, if there is one.
    not_here: "Callable[[str, str, Caller], None]" = lambda full_name, type, by: None
    # In the transaction that folds counted downloads: how many by repository, version ("": not named) and day.
    downloaded: Callable[[Mapping[tuple[int, str, date], int]], object] = lambda counts: None
    # Called with a person, the page that they look at now, and the row that it is about, if any.
    saw: "Callable[[User, str, Model | None], object]" = lambda user, page, row: None
    # Returns the answers (name → value) to keep of a person who asks for gated files. Raises ValueInvalid.
    check_answers: "Callable[[Repository, Mapping[str, object]], Mapping[str, object]]" = lambda repository, given: {}
    # (document, rows) of what it keeps of a person, for the export: no secrets, nothing that concerns other people.
    personal_data: "Callable[[User], Iterable[tuple[str, Iterable[object]]]]" = lambda user: ()
    # Deletes what it keeps for a person alone, in the transaction that deletes the account.
    forget: "Callable[[User], object]" = lambda user: None
    # In the transaction that revokes every token of a person: ends what would become another one.
    tokens_revoked: "Callable[[User], object]" = lambda user: None
    # In the transaction that gives a repository its name (new, moved, restored); and that deletes it or moves it to
    # another owner.
    named: "Callable[[Repository], object]" = lambda repository: None
    given_up: "Callable[[Repository, User | None], object]" = lambda repository, by: None
    # Consumers that get each event of the outbox first, so that the others know what is held back.
    moderates: "Callable[[OutboxEvent], object]" = lambda event: None
    # Hears what the hub found in a version (check or rule, sentence, file or ""), before a hold for it and in its
    # transaction; returns the case that the hold belongs to, if it keeps cases.
    found: "Callable[[Revision, str, str, str], Case | None]" = lambda revision, finding, text, file: None
    # In the transaction in which a moderator releases a repository or a version, for a reason.
    released: "Callable[[Repository | Revision, User, str], object]" = lambda held, by, reason: None
    # Keys of an operator's file about an organisation: each takes an Entry and yields a line for each change.
    organization_parts: "tuple[tuple[str, Callable[[Organization, Any], Iterator[str]]], ...]" = ()
    # Acts of the hub's administrators on rows of a table (its name), for a reason (name, title, verb).
    acts: tuple[tuple[str, str, str, Callable[..., bool]], ...] = ()
    # One page, of at most so many, of the lists that hold a repository, as far as a caller sees them: rows with title,
    # namespace, slug and address.
    lists_with: "Callable[[Repository, Caller, int], Page[Any]]" = lambda repository, by, limit: Page([])


class ShortJobs(NamedTuple):
    """Jobs of a moment on a warm engine: a process of validations gives them a fifth of its time while these wait."""

    waits: Callable[[], bool]  # whether this worker can do one that waits
    do: Callable[[bool], bool]  # do one, the engine cold only if given True; return whether there was one


@dataclass(frozen=True, slots=True)
class Jobs:
    """Everything that one feature adds to the workers; its `jobs.py` may hold Celery tasks as well."""

    reads: tuple[Callable[[], object], ...] = ()  # asks other hubs for what is to be proven; every minute
    measures: tuple[Callable[[], object], ...] = ()  # of bases that are in the cache of this machine
    after_push: tuple[Callable[[], object], ...] = ()  # reads files of strangers, in bounded slices
    short: tuple[ShortJobs, ...] = ()
    later: tuple[Callable[[], bool], ...] = ()  # does one job if no validation waits; returns whether there was one
    mail: tuple[Callable[[], object], ...] = ()  # sends the e-mails that are due


_joined: list[Feature] = []


def join(features: Iterable[Feature]) -> None:
    """Take the features of this process, when Django has loaded every table."""
    _joined[:] = features


def joined() -> tuple[Feature, ...]:
    """Return the features in their declared order."""
    return tuple(_joined)


def has_threads() -> bool:
    """Return whether a feature keeps discussions and pull requests."""
    return any(feature.threads is not None for feature in _joined)


def threads() -> Threads:
    """Return who keeps discussions and pull requests. Raises NotSupported where nobody does."""
    for feature in _joined:
        if feature.threads is not None:
            return feature.threads
    raise NotSupported("This hub has no discussions or pull requests.", fix="Push to a branch.")


def file_view(revision: "Revision", path: str, view: str, base: str) -> tuple[str, str]:
    """Return another form of a file of a version, and what is changed in it. Raises ValueInvalid, NotSupported."""
    for feature in _joined:
        if feature.file_view is not None:
            return feature.file_view(revision, path, view, base)
    raise NotSupported("This hub shows files as they are.", fix="Omit view=.")


def large_files(files: Iterable[str]) -> None:
    """Tell the features that a push brings these large files (sha256); call it in its transaction."""
    files = list(files)
    for feature in _joined:
        feature.large_files(files)


def check_answers(repository: "Repository", given: Mapping[str, object]) -> dict[str, object]:
    """Return what is kept of the answers of a person who asks for gated files. Raises ValueInvalid."""
    return {name: one for part in _joined for name, one in part.check_answers(repository, given).items()}


def has_xet() -> bool:
    """Return whether a feature speaks Xet."""
    return any(feature.xet_ids for feature in _joined)


def xet_ids(files: Collection[str]) -> Mapping[str, str]:
    """Return sha256 → id of those of these files that clients can read by Xet."""
    return next((feature.xet_ids(files) for feature in _joined if feature.xet_ids), {})


def change_pulls(which: "Q", *, less: bool = True) -> None:
    """Tell the features that anybody may pull more or `less` of these repositories; call it in that transaction."""
    for feature in _joined:
        feature.pulls_changed(which, less)


def mirror() -> Mapping[str, object] | None:
    """Return where clients read while this hub does not answer; None where that is nowhere."""
    return next(filter(None, (feature.mirror() for feature in _joined)), None)


def public_address(sha256: str) -> str:
    """Return where a network of caches serves these bytes, which anybody may have; "" where none does."""
    return next(filter(None, (feature.public_address(sha256) for feature in _joined)), "")


def saw(user: "User | None", page: str, row: "Model | None" = None) -> None:
    """Let features know that a person looks at a page now; nobody asks that of strangers."""
    if user is not None:
        for feature in _joined:
            feature.saw(user, page, row)


def lists_with(repository: "Repository", by: "Caller", limit: int) -> Page[Any]:
    """Return the lists of all features that hold a repository; `next` where one of them has more."""
    pages = [feature.lists_with(repository, by, limit) for feature in _joined]
    return Page([one for page in pages for one in page.items], next(filter(None, (page.next for page in pages)), ""))


def name(repository: "Repository") -> None:
    """Tell the features that a repository has a name; call it in the transaction that gives it this name."""
    for feature in _joined:
        feature.named(repository)


def give_up(repository: "Repository", by: "User | None") -> None:
    """Tell the features that a repository goes, or to another owner; call it in the transaction in which it does."""
    for feature in _joined:
        feature.given_up(repository, by)


def found(revision: "Revision", finding: str, text: str, file: str) -> "Case | None":
    """Tell the features what the hub found in a version; return the case of it, if one of them keeps cases."""
    cases = [feature.found(revision, finding, text, file) for feature in _joined]
    return next(filter(None, cases), None)


def release(held: "Repository | Revision", by: "User", reason: str) -> None:
    """Tell the features that a moderator releases something; call it in the transaction in which it is done."""
    for feature in _joined:
        feature.released(held, by, reason)
