"""Answers about the hub, who asks, and the versions of an adapter: manifests, names, releases, yanks, locks."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated

from dovetail.adapters.results.report import EngineRow, EngineVersions, Serving
from dovetail.answers.record import LEFT_OUT, Answer, MappedAnswer, OneOf, Time, Url


class Banner(Answer):
    text: str
    level: Annotated[str, OneOf("information", "warning", "outage")]
    starts_at: Time | None
    ends_at: Time | None


class Plane(Answer):
    """The address of signed documents, by which pulls go on while the hub does not answer."""

    url: Url
    keys: Annotated[tuple[str, ...], "public Ed25519 keys in base64, today's first"]


class Site(MappedAnswer, needs="version"):
    version: str
    registration: Annotated[str, OneOf("open", "invite", "closed")]
    pull_policy: Annotated[str, OneOf("open", "verified")]
    uploads: bool
    new_repositories: bool
    writable: Annotated[bool, "false: the whole hub is read-only"]
    banner: Annotated[Mapping[str, object] | None, Banner]
    plane: Annotated[Mapping[str, object] | None, Plane, "null: there is no read plane"]


class OrganizationRole(MappedAnswer, needs="name role"):
    name: str
    role: str


class Usage(MappedAnswer):
    """The bytes that the person's own repositories hold."""

    bytes: int
    limit: Annotated[int | None, "null: no limit"]


class Token(MappedAnswer, needs="name role"):
    """A token without its value, which nobody can read again."""

    id: int
    name: str
    role: Annotated[str, OneOf("read", "write", "fine-grained")]
    created_at: Time
    last_used_at: Time | None
    expires_at: Time | None


class Me(MappedAnswer, needs="name organizations"):
    name: str
    full_name: str
    email: str
    role: str
    organizations: tuple[OrganizationRole, ...]
    usage: Usage
    token: Annotated[Token | None, "the one that asked"]


class ReportedTarget(MappedAnswer):
    type: Annotated[str, OneOf("adapter", "revision", "file", "discussion", "comment", "person", "organization")]
    id: Annotated[str, "ns/name, ns/name@REV, ns/name@REV:PATH, ns/name#NUMBER[:COMMENT], or a name"]


class FiledReport(MappedAnswer, needs="id state merged"):
    id: Annotated[int, "of the case"]
    target: ReportedTarget
    state: str
    merged: Annotated[bool, "whether the case was open already"]


class Yanked(MappedAnswer, needs="reason"):
    reason: str
    at: Time


class YankState(MappedAnswer, needs="revision"):
    revision: Annotated[str, "40 hex digits"]
    yanked: Yanked | None


class WithdrawnWeights(MappedAnswer, needs="adapter revision reason"):
    """A yanked revision that you may see and that holds the same weights: the same bytes, or the same tensors."""

    adapter: str
    revision: str
    path: Annotated[str, "of the weights in the revision that was asked for"]
    reason: Annotated[str, "of the yank"]
    at: Annotated[Time, "of the yank"]


class Deprecated(MappedAnswer):
    message: str
    successor: str | None
    at: Time


class Revision(MappedAnswer, needs="revision"):
    revision: Annotated[str, "40 hex digits"]
    parent: str | None
    title: str
    message: str
    author: str
    created_at: Time
    yanked: Annotated[Yanked | None, "its owners advise against it"]
    expired_at: Annotated[Time | None, "since when a rule of retention removed its files"]
    state: Annotated[str | None, "of its newest verdict; null where nothing is an adapter"]


class HistoryItem(Revision):
    run: Annotated[tuple[Revision, ...] | None, "with collapse=runs: the older versions of its training run"] = field(
        default=None, metadata=LEFT_OUT
    )


class File(MappedAnswer, needs="path size sha256"):
    path: str
    size: int
    sha256: str
    git_oid: Annotated[str, "sha1 of the git blob; of the LFS pointer where lfs is true"]
    lfs: bool
    derived_from: Annotated[str | None, "the pushed file that the hub made this one of: it is no part of the commit"]


class BaseName(MappedAnswer, needs="id"):
    """The base model of an adapter: proven, or as its config names it."""

    id: str
    revision: str | None
    sha256: str | None


class Provenance(Answer):
    """The CI job that published a revision."""

    publisher: Annotated[str, "empty when it was removed since"]
    issuer: str
    project: str
    job: str
    run_url: str
    commit: Annotated[str, "of the project, not of this repository"]
    commit_url: str
    claims: Mapping[str, str]


class StatedFact(Answer):
    name: str
    value: Annotated[object, "a number or a text"]
    source: Annotated[str, "file:key"]


class Checkpoint(Answer):
    """The file on which a LoRA for images was trained, by the digest in its header, beside the base of the card."""

    sha256: str
    base: str
    path: Annotated[str | None, "the file of the base; null: none of those that are known here"]


class Training(Answer):
    """Facts that trainers wrote beside the weights; stated by them and measured by nobody here."""

    facts: Annotated[tuple[StatedFact, ...], "at most 60"]
    losses: Annotated[tuple[tuple[float, ...], ...], "[step, loss], at most 120"]
    losses_source: str | None
    words: Annotated[tuple[str, ...], "the trigger phrase of a LoRA for images, or its tags"]
    checkpoint: Annotated[Checkpoint | None, "null where the header has no digest, or the base is not known"]


class Manifest(Revision, needs="files"):
    """A revision with everything it holds."""

    adapter: str
    size: int
    files: tuple[File, ...]
    config: Annotated[Mapping[str, object] | None, "adapter_config.json, parsed"]
    training: Annotated[Mapping[str, object] | None, Training, "null for those who may not have the files"]
    base: BaseName | None
    published_by: Annotated[Provenance | None, "null where a person or robot pushed"]
    tensors: Annotated[Mapping[str, object] | None, "values in the weights, all and by dtype"]
    withdrawn_weights: Annotated[WithdrawnWeights | None, "the newest yank of the same weights"]
    plane: Annotated[Mapping[str, object] | None, Plane, "of this hub, for when it does not answer"]
    unserved: Annotated[str | None, "why the pull policy keeps its files from you"]

    @property
    def as_of(self) -> str:
        """When the hub said so, where it is not the hub that answered: its read plane, or this machine's cache."""
        return str(self.get("as_of") or "")


class Alias(MappedAnswer, needs="alias fallback"):
    """A movable name for a revision."""

    alias: str
    revision: Annotated[str | None, "what it serves now; null: nothing, and it is not found"]
    chosen: Annotated[str | None, "what it was set to; null where you may not see that revision"]
    fallback: Annotated[bool, "`chosen` is held back or yanked, and `revision` is served in its place"]
    fallback_reason: str | None
    forced: Annotated[bool, "it was set to a revision that had not passed"]
    reason: Annotated[str, "of the newest move by a person"]
    set_by: str
    set_at: Time


class Release(MappedAnswer, needs="tag revision prerelease latest"):
    """A tag that is a semantic version, with a title and notes."""

    tag: str
    title: str
    notes: Annotated[str, "Markdown"]
    revision: Annotated[str, "the commit id that its tag names"]
    state: Annotated[str | None, "of the newest verdict of that revision; null for none"]
    yanked: bool
    prerelease: bool
    latest: Annotated[bool, "the highest version that is no pre-release, held back or yanked"]
    forced: Annotated[bool, "it was made of a revision that had not passed"]
    created_by: str
    created_at: Time
    edited_at: Time | None


class Override(MappedAnswer):
    by: str
    at: Time
    reason: str


class Regression(MappedAnswer):
    """The comparison of a revision with the one that `verified` would name without it."""

    state: Annotated[str, OneOf("open", "held", "overridden"), "held: `verified` passes it by"]
    outcome: Annotated[str, OneOf("better", "equal", "worse", "incomparable"), "worse and better are beyond chance"]
    against: Annotated[str | None, "40 hex digits; null where no verified version comes before it"]
    reason: Annotated[str, "the outcome as a sentence"]
    metric: str | None
    better: Annotated[str | None, OneOf("higher", "lower")]
    before: float | None
    now: float | None
    difference: Annotated[float | None, "now minus before, as the mean of the rows"]
    interval: Annotated[tuple[float, ...] | None, "of the difference, two-sided at 95 %"]
    rows: int | None
    test: Annotated[str | None, OneOf("mcnemar-exact", "sign-flip-permutation")]
    p: Annotated[float | None, "one-sided: how often chance alone does so much harm"]
    notes: Annotated[tuple[str, ...], "what else differs between the two measurements"]
    override: Override | None


class Eligibility(MappedAnswer):
    """The answer to whether `verified` may name a revision."""

    may: bool
    because: Annotated[
        str | None,
        OneOf("adds-nothing", "below-base", "held", "incomplete", "not-run", "regression", "yanked"),
        "why not; null where the verdict itself says no",
    ]
    until: Annotated[Time | None, "when that ends by itself; null: it does not"]
    is_run: Annotated[bool, "false: its shapes fit, and no engine ran it"]
    reason: Annotated[str | None, "`because` as a sentence"]
    fix: str | None
    overridable: Annotated[bool, "an owner can let it become verified with a public reason"]


class RevisionRegression(MappedAnswer, needs="revision"):
    revision: Annotated[str, "40 hex digits"]
    verified: Eligibility
    regression: Regression | None


class LockedFile(Answer, needs="path sha256"):
    path: str
    size: int
    sha256: str


class LockedBaseFile(Answer):
    path: str
    size: Annotated[int | None, "null where the hub does not serve the base"]
    sha256: str


class LockedBase(Answer):
    """The base model that the verdict was made with."""

    id: str
    revision: str | None
    sha256: Annotated[str | None, "over the sorted paths and digests of its files"]
    files: Annotated[tuple[LockedBaseFile, ...], "empty if the hub holds another version of it by now"]


class LockedPart(Answer):
    """One of several adapters of a revision."""

    path: Annotated[str, "its folder, or its weights where no config lies beside them"]
    serving: Annotated[tuple[Serving, ...], "serving engines that take it, with flags that name it alone"]


class Lock(MappedAnswer, needs="adapter revision files"):
    """Everything that has to be the same elsewhere for a revision to answer as it did when it was proven."""

    adapter: str
    revision: Annotated[str, "40 hex digits"]
    state: Annotated[str | None, "of its newest finished verdict; null where there is none"]
    kind: str | None
    format: str | None
    files: Annotated[tuple[LockedFile, ...], "pushed ones, and those that the hub made of them"]
    base: LockedBase | None
    engine: Annotated[EngineVersions | None, "the engine that decided, with the versions of its libraries"]
    engines: tuple[EngineRow, ...]
    serving: Annotated[
        tuple[Serving, ...], "serving engines that take it, with their flags; of `parts` without a folder"
    ]
    parts: Annotated[tuple[LockedPart, ...], "of several adapters each; else empty"]
    merge_order: Annotated[
        tuple[str, ...], "folders of its adapters, in the order in which they are put on the base; empty for the top"
    ]
