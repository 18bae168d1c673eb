"""The answers of a hub to the client: required members are checked when they arrive, and a hub may say more."""

from typing import Any, NotRequired, Required, TypedDict


class Membership(TypedDict):
    """An organisation of the account, and the role there."""

    name: str
    role: str


class SiteFacts(TypedDict):
    """The hub itself."""

    version: str


class TokenName(TypedDict):
    """The token that a request was made with."""

    name: str
    role: str


class Me(TypedDict):
    """The account that a token belongs to."""

    name: str
    organizations: list[Membership]
    token: NotRequired[TokenName | None]


class AdapterFacts(TypedDict, total=False):
    """The facts of an adapter; sizes are bytes, times are ISO 8601."""

    id: Required[str]
    author: str
    private: bool
    summary: str
    format: str
    kind: str
    base: str
    task: str
    license: str
    rank: int | None
    size: int
    tags: list[str]
    downloads: int
    likes: int
    gated: str | None
    created_at: str
    updated_at: str
    verdict: dict[str, str | None] | None
    status: str
    latest: str | None
    verified: str | None
    branches: dict[str, str]
    revision_tags: dict[str, str]
    aliases: dict[str, str]
    yanked: dict[str, str] | None
    deprecated: dict[str, str] | None


class AdapterPage(TypedDict, total=False):
    """Some adapters of a search, and the address of the next page."""

    items: Required[list[AdapterFacts]]
    next: str | None


class DerivedVersion(TypedDict, total=False):
    """A derived version: where it is, what it is made of, and how far it is."""

    state: Required[str]
    adapter: Required[str]
    ref: Required[str]
    revision: Required[str | None]
    reason: str | None
    method: str
    verdict: str | None
    lossless: bool | None
    largest_error: float | None
    tensor: str | None
    sources: list[dict[str, Any]]


class YankState(TypedDict):
    """A revision and its yank, null where there is none."""

    revision: str
    yanked: NotRequired[dict[str, str] | None]


class ManifestEntry(TypedDict):
    """One file of a revision."""

    path: str
    size: int
    sha256: str


class Manifest(TypedDict, total=False):
    """A revision (40 hex digits) with its files, and the state of its newest verdict."""

    revision: Required[str]
    files: Required[list[ManifestEntry]]
    adapter: str
    parent: str | None
    title: str
    message: str
    author: str
    created_at: str
    size: int
    state: str | None
    yanked: NotRequired[dict[str, str] | None]
    config: dict[str, object] | None
    base: dict[str, str | None] | None
    tensors: dict[str, object] | None


class Comparison(TypedDict):
    """What a hub says of the weights of two versions: a file each, with `state`, tensors and `modules`."""

    weights: list[dict[str, Any]]


class BaseAnswer(TypedDict, total=False):
    """A base, and why the adapter fits it or not."""

    base: str
    on_shelf: bool
    why: str


class FitAnswer(TypedDict, total=False):
    """The bases that an adapter fits and the others. `note` states what shapes cannot tell."""

    fits: Required[list[BaseAnswer]]
    misfits: Required[list[BaseAnswer]]
    task: str | None
    note: str | None
    left_out: int


class AliasFacts(TypedDict, total=False):
    """An alias; `revision` is what it serves (null: nothing), `chosen` what it was set to."""

    alias: Required[str]
    fallback: Required[bool]
    revision: str | None
    chosen: str | None
    fallback_reason: str | None
    forced: bool
    reason: str
    set_by: str
    set_at: str


class AliasList(TypedDict):
    """The aliases of an adapter."""

    items: list[AliasFacts]


class FiledReport(TypedDict):
    """The case that a report went to."""

    id: int
    state: str
    merged: bool


class PullRequest(TypedDict):
    """An open pull request that names a base."""

    url: str
    number: int
    title: str
    base: str


class VerdictAnswer(TypedDict):
    """A verdict; `verdict.read` reads the rest of it."""

    state: str
    checks: list[object]


class LockedFileAnswer(TypedDict):
    """A file of a lock."""

    path: str
    size: int | None
    sha256: str


class LockAnswer(TypedDict):
    """The pinned composition of a revision; `locks.entry_of` reads the rest of it."""

    adapter: str
    revision: str
    files: list[LockedFileAnswer]


class Change(TypedDict, total=False):
    """One thing that happened to an adapter."""

    seq: int
    event: str
    adapter: str


class ChangeNumbers(TypedDict):
    """A page of the feed of changes, and the number up to which it tells."""

    items: list[Change]
    last: int
