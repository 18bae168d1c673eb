"""The answer of `dovetail diff`: two versions, and the files, keys of the config and scores that differ."""

from collections.abc import Mapping
from dataclasses import dataclass

from dovetail.base.typed_records import Answer


@dataclass(frozen=True, eq=False)
class Side(Answer):
    """One of two versions that are compared, and the checks that it fails."""

    adapter: str
    revision: str
    state: str | None = None
    failed: tuple[str, ...] = ()
    size: int | None = None


@dataclass(frozen=True, eq=False)
class FileChange(Answer):
    """A file that is added, removed or changed; `a` and `b` are its sizes."""

    path: str
    change: str
    a: int | None = None
    b: int | None = None


@dataclass(frozen=True, eq=False)
class KeyChange(Answer):
    """A key of the config whose values differ."""

    key: str
    a: object = None
    b: object = None


@dataclass(frozen=True, eq=False)
class ScoreChange(Answer):
    """A metric that one or both versions were measured by."""

    name: str
    metric: str
    a: float | None = None
    b: float | None = None


@dataclass(frozen=True, eq=False)
class Difference(Answer):
    """The differences between two versions."""

    a: Side
    b: Side
    files: tuple[FileChange, ...] = ()
    config: tuple[KeyChange, ...] = ()
    evaluations: tuple[ScoreChange, ...] = ()
    weights: tuple[Mapping[str, object], ...] | None = None  # as the hub compared them; None where it could not
