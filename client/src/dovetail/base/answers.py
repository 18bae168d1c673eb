"""The answers of a hub, each a record with types that is also the JSON object it was read from (`reading`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dovetail.base.typed_records import Answer


@dataclass(frozen=True, eq=False)
class Membership(Answer):
    """An organisation of the account, and the role there."""

    name: str
    role: str


@dataclass(frozen=True, eq=False)
class SiteFacts(Answer):
    """The hub itself."""

    version: str


@dataclass(frozen=True, eq=False)
class TokenName(Answer):
    """The token that a request was made with."""

    name: str
    role: str


@dataclass(frozen=True, eq=False)
class Me(Answer):
    """The account that a token belongs to."""

    name: str
    organizations: tuple[Membership, ...]
    token: TokenName | None = None


@dataclass(frozen=True, eq=False)
class VerdictState(Answer):
    """The state of a verdict in lists, and the check that failed."""

    state: str
    check: str | None = None


@dataclass(frozen=True, eq=False)
class Yank(Answer):
    """Why nobody should use a revision."""

    reason: str
    at: str = ""


@dataclass(frozen=True, eq=False)
class WithdrawnWeights(Answer):
    """The yanked revision that holds the same weights as `path` in the one that was asked for."""

    adapter: str
    revision: str
    reason: str
    path: str = ""
    at: str = ""


@dataclass(frozen=True, eq=False)
class Adapter(Answer):
    """The facts of an adapter; sizes are bytes, times are ISO 8601."""

    id: str
    author: str = ""
    private: bool = False
    summary: str = ""
    format: str = ""
    kind: str = ""
    base: str = ""
    task: str = ""
    license: str = ""
    rank: int | None = None
    size: int = 0
    tags: tuple[str, ...] = ()
    downloads: int = 0
    likes: int = 0
    gated: str | None = None
    created_at: str = ""
    updated_at: str = ""
    verdict: VerdictState | None = None
    status: str = "active"
    latest: str | None = None
    verified: str | None = None
    verified_is_run: bool | None = None
    branches: Mapping[str, str] = field(default_factory=dict)
    revision_tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    yanked: Yank | None = None
    deprecated: Mapping[str, str] | None = None


@dataclass(frozen=True, eq=False)
class AdapterPage(Answer):
    """Some adapters of a search, and the address of the next page."""

    adapters: tuple[Adapter, ...] = field(metadata={"key": "items"})
    next: str | None = None


@dataclass(frozen=True, eq=False)
class DerivedVersion(Answer):
    """A derived version: where it is, what it is made of, and how far it is."""

    state: str
    adapter: str
    ref: str
    revision: str | None = None
    reason: str | None = None
    method: str = ""
    verdict: str | None = None
    lossless: bool | None = None
    largest_error: float | None = None
    tensor: str | None = None
    lost: float | None = None
    sources: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, eq=False)
class YankState(Answer):
    """A revision and its yank, None where there is none."""

    revision: str
    yanked: Yank | None = None


@dataclass(frozen=True, eq=False)
class RevisionRegression(Answer):
    """A revision, whether `verified` may name it, and how it compares with the verified one before."""

    revision: str
    verified: Mapping[str, Any] | None = None
    regression: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class ManifestEntry(Answer):
    """One file of a revision."""

    path: str
    size: int
    sha256: str
    derived_from: str | None = None


@dataclass(frozen=True, eq=False)
class BaseName(Answer):
    """The base model of an adapter: proven, or as its config names it."""

    id: str
    revision: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, eq=False)
class Manifest(Answer):
    """A revision (40 hex digits) with its files, and the state of its newest verdict."""

    revision: str
    files: tuple[ManifestEntry, ...]
    adapter: str = ""
    parent: str | None = None
    title: str = ""
    message: str = ""
    author: str = ""
    created_at: str = ""
    size: int = 0
    state: str | None = None
    yanked: Yank | None = None
    withdrawn_weights: WithdrawnWeights | None = None
    config: Mapping[str, object] | None = None
    base: BaseName | None = None
    tensors: Mapping[str, object] | None = None
    plane: Mapping[str, object] | None = None
    as_of: str = ""  # when the hub signed it, where it came from the read plane


@dataclass(frozen=True, eq=False)
class Comparison(Answer):
    """A hub's comparison of the weights of two versions: a file each, with `state`, tensors and `modules`."""

    weights: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, eq=False)
class BaseFit(Answer):
    """A base, and why the adapter fits it or not."""

    base: str
    on_shelf: bool = False
    why: str = ""


@dataclass(frozen=True, eq=False)
class FitAnswer(Answer):
    """The bases that an adapter fits and the others. `note` states what shapes cannot tell."""

    fits: tuple[BaseFit, ...]
    misfits: tuple[BaseFit, ...]
    task: str | None = None
    note: str | None = None
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class Alias(Answer):
    """An alias; `revision` is what it serves (None: nothing), `chosen` what it was set to."""

    alias: str
    fallback: bool
    revision: str | None = None
    chosen: str | None = None
    fallback_reason: str | None = None
    forced: bool = False
    reason: str = ""
    set_by: str = ""
    set_at: str = ""


@dataclass(frozen=True, eq=False)
class AliasList(Answer):
    """The aliases of an adapter."""

    aliases: tuple[Alias, ...] = field(metadata={"key": "items"})


@dataclass(frozen=True, eq=False)
class Release(Answer):
    """A release; `state` is that of the newest verdict of its revision (None: no verdict)."""

    tag: str
    revision: str
    prerelease: bool
    latest: bool
    title: str = ""
    notes: str = ""
    state: str | None = None
    yanked: bool = False
    forced: bool = False
    created_by: str = ""
    created_at: str = ""
    edited_at: str | None = None


@dataclass(frozen=True, eq=False)
class ReleasePage(Answer):
    """Some releases of an adapter, and the address of the next page."""

    releases: tuple[Release, ...] = field(metadata={"key": "items"})
    next: str | None = None


@dataclass(frozen=True, eq=False)
class Tryout(Answer):
    """A try; `answer` is what `dovetail.adapters.results.tryout.Answer.read` takes."""

    id: str
    revision: str
    state: str
    reason: str | None = None
    answer: Mapping[str, Any] | None = None
    before: int | None = None
    wait_seconds: int | None = None


@dataclass(frozen=True, eq=False)
class FiledReport(Answer):
    """The case that a report went to."""

    id: int
    state: str
    merged: bool


@dataclass(frozen=True, eq=False)
class PullRequest(Answer):
    """An open pull request that repairs an adapter."""

    url: str
    number: int
    title: str
    base: str


@dataclass(frozen=True, eq=False)
class VerdictAnswer(Answer):
    """A verdict; `verdicts.read` reads the rest of it."""

    state: str
    checks: tuple[object, ...]  # a newer hub may have other ones
