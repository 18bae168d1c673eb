"""Answers about adapters: in lists, alone, compared, fitted, tried, and what is made of them."""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from dovetail.adapters.results import usage
from dovetail.answers.record import LEFT_OUT, Answer, MappedAnswer, OneOf, Page, Time, Url
from dovetail.answers.versions import Deprecated, Yanked

CHANGES = OneOf("added", "removed", "changed")
EVENTS = OneOf(
    *("push", "verdict", "quarantine", "release", "delete", "move", "restore", "yank", "unyank", "alias"),
    *("regression", "tag-release"),
)


class ShortVerdict(MappedAnswer, needs="state"):
    """The last finished verdict of `verified`; of main where nothing is verified."""

    revision: str
    state: str
    finished_at: Time | None


class NewestVersion(MappedAnswer):
    """A newer version than the verified one, which all other fields describe."""

    revision: str
    state: str
    checks: Annotated[tuple[str, ...], "ids of those that failed"]


class Adapter(MappedAnswer, needs="id"):
    """An adapter in a list, as its verified version is where there is one; sizes are bytes."""

    id: Annotated[str, "namespace/name"]
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
    tags: tuple[str, ...]
    downloads: int
    likes: int
    gated: Annotated[str | None, "auto, manual, or null: who sees it may have the files"]
    created_at: Time
    updated_at: Time
    verdict: ShortVerdict | None
    newest: Annotated[NewestVersion | None, "of main, where it is another version than the verified one"]
    status: Annotated[str, OneOf("active", "deprecated", "archived")]
    yanked: Annotated[Yanked | None, "of main, where it is yanked: lists show it to its writers alone"]


class AdapterDetail(Adapter):
    """One adapter: the newest commit of main, the newest one that passed, its branches, tags and aliases."""

    kinds: Annotated[tuple[str, ...], "of all adapters in it, by its newest verdict"]
    deprecated: Deprecated | None
    archived_at: Time | None
    latest: str | None
    verified: str | None
    verified_is_run: Annotated[bool | None, "false: its shapes fit, and no engine ran it"]
    branches: Mapping[str, str]
    revision_tags: Mapping[str, str]
    aliases: Annotated[Mapping[str, str], "what each serves"]


class FacetValue(Answer):
    value: str
    count: int


class AdapterPage(Page[Adapter]):
    items: tuple[Adapter, ...]
    facets: Annotated[Mapping[str, tuple[FacetValue, ...]] | None, "with facets=1"] = field(
        default=None, metadata=LEFT_OUT
    )
    facets_at_least: Annotated[
        bool | None, "more match than were read to be counted: each count is the least that it is"
    ] = field(default=None, metadata=LEFT_OUT)


class AdapterState(Answer):
    """The states that its owners gave to an adapter as a whole."""

    status: Annotated[str, OneOf("active", "deprecated", "archived")]
    deprecated: Deprecated | None
    archived_at: Time | None


class Change(MappedAnswer, needs="seq event adapter"):
    """One thing that happened to an adapter."""

    seq: int
    at: Time
    event: Annotated[str, EVENTS]
    type: Annotated[str, "model, dataset or space"]
    adapter: Annotated[str, "as it was called then"]
    revision: str | None
    data: Annotated[
        Mapping[str, object],
        "push: ref; verdict: state, number, check; move: before; yank, unyank: reason; "
        "alias: alias, action, before, after, reason; regression: held, because, against, reason; "
        "tag-release: action, tag, title, prerelease",
    ]


class ChangePage(Page[Change]):
    items: tuple[Change, ...]
    last: Annotated[int, "up to which number this page tells"]


class ComparedSide(Answer):
    revision: Annotated[str, "40 hex digits"]
    state: Annotated[str | None, "of its newest verdict; null where there is none"]
    size: Annotated[int, "bytes of all files"]


class FileChange(Answer):
    path: str
    change: Annotated[str, CHANGES]
    size_before: int | None
    size_after: int | None


class KeyChange(Answer):
    """One key of an adapter_config.json."""

    path: str
    key: str
    change: Annotated[str, CHANGES]
    before: object
    after: object


class Reshaped(Answer):
    tensor: str
    before: tuple[int, ...]
    after: tuple[int, ...]


class Retyped(Answer):
    tensor: str
    before: str
    after: str


class ModuleChange(Answer):
    """A pair of low-rank factors counts as the matrix that it stands for, with the scale of its config."""

    module: str
    relative_change: Annotated[float | None, "length of the difference; null: it was zero before"]
    cosine: Annotated[float | None, "1: the same direction; null: one side is zero"]


class WeightsChange(Answer):
    """One weight file that both revisions have."""

    path: str
    state: Annotated[str, OneOf("same", "compared", "waiting", "unknown"), "unknown: see reason"]
    reason: str | None
    added: Annotated[tuple[str, ...], "tensors; at most 1,000, as in the next three"]
    removed: tuple[str, ...]
    reshaped: tuple[Reshaped, ...]
    retyped: tuple[Retyped, ...]
    modules: Annotated[tuple[ModuleChange, ...], "the largest changes first, at most 2,000"]
    modules_left_out: int


class EvaluationChange(Answer):
    name: str
    metric: str
    better: Annotated[str, OneOf("higher", "lower")]
    before: float | None
    after: float | None
    change: Annotated[float | None, "null unless both were measured on the same rows"]
    outcome: Annotated[
        str | None,
        OneOf("better", "worse", "equal"),
        "of the paired test of their rows; equal: within chance; null without numbers row by row",
    ]
    p: Annotated[float | None, "the chance of such a difference among adapters that do not differ"]


class Comparison(MappedAnswer, needs="weights"):
    """The differences from one revision to the other."""

    adapter: str
    before: ComparedSide
    after: ComparedSide
    files: Annotated[tuple[FileChange, ...], "at most 1,000"]
    config: tuple[KeyChange, ...]
    weights: Annotated[tuple[WeightsChange, ...], "of the first 8 safetensors files that both have, derived ones too"]
    evals: tuple[EvaluationChange, ...]


class BaseFit(MappedAnswer, needs="base"):
    base: str
    on_shelf: Annotated[bool, "whether an adapter of it is also run here"]
    tensors: int
    vocabulary: Annotated[int | None, "rows, where the adapter enlarges it"]
    why: str


class WrongShape(Answer):
    tensor: str
    found: tuple[int, ...]
    expected: tuple[int, ...]


class BaseMisfit(MappedAnswer, needs="base"):
    """Why it does not fit; each list holds the first 20."""

    base: str
    on_shelf: bool
    why: str
    wrong: tuple[WrongShape, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    replaces: tuple[str, ...]


class FitAnswer(MappedAnswer, needs="fits misfits"):
    task: Annotated[str | None, "as PEFT names it; null: the one each base was made for"]
    fits: tuple[BaseFit, ...]
    misfits: tuple[BaseMisfit, ...]
    note: Annotated[str | None, "what shapes cannot tell"]
    left_out: Annotated[int, "bases that were not asked: too many, a pattern cost too much, or not measured yet"]


class Tryout(MappedAnswer, needs="id revision state"):
    id: Annotated[str, "32 hex digits"]
    adapter: str
    revision: Annotated[str, "40 hex digits"]
    state: Annotated[str, OneOf("queued", "running", "done", "failed", "expired")]
    reason: Annotated[str | None, "why it failed or expired"]
    before: Annotated[int | None, "tries that are done first; null once it is not queued"]
    wait_seconds: Annotated[int | None, "about how long it waits still"]
    answer: Annotated[Mapping[str, Any] | None, usage.Answer]
    asked_at: Time
    deleted_at: Annotated[Time, "when texts and answer are deleted"]


class DerivedSource(MappedAnswer):
    adapter: Annotated[str | None, "null where the caller may not see it"]
    revision: Annotated[str | None, "40 hex digits"]
    weight: Annotated[float, "1 in a conversion"]


class DerivedVersion(MappedAnswer, needs="adapter ref state"):
    id: int
    adapter: Annotated[str, "where the result is"]
    ref: Annotated[str, "the branch that it was committed to"]
    method: str
    options: Annotated[Mapping[str, object], "numbers and words of the request"]
    state: Annotated[str, OneOf("queued", "running", "done", "refused", "errored")]
    reason: Annotated[str | None, "why it was refused, failed, or waits"]
    revision: Annotated[str | None, "the result; its verdict is there as of any revision"]
    verdict: Annotated[str | None, "state of its newest verdict"]
    lossless: Annotated[bool | None, "null until it is done"]
    largest_error: Annotated[float | None, "of another precision, in `tensor`"]
    tensor: str | None
    lost: Annotated[float | None, "of peft-lora, LyCORIS: the share of the change that a rank loses"]
    by: str
    created_at: Time
    finished_at: Time | None
    sources: tuple[DerivedSource, ...]


class Repaired(MappedAnswer, needs="base number title url"):
    """A pull request with a repair; nothing is changed until somebody merges it."""

    adapter: str
    base: Annotated[str, "the base that the config then names, if any"]
    number: int
    title: str
    url: Url
    revision: Annotated[str, "what it proposes; its verdict is there as of any revision"]
