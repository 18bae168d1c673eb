"""The answer of `dovetail diff`: two versions, and the files, keys of the config and scores that differ."""

from collections.abc import Mapping

from dovetail.answers.record import MappedAnswer


class Side(MappedAnswer):
    """One of two versions that are compared, and the checks that it fails."""

    adapter: str
    revision: str
    state: str | None
    failed: tuple[str, ...]
    size: int | None


class FileChange(MappedAnswer):
    """A file that is added, removed or changed; `a` and `b` are its sizes."""

    path: str
    change: str
    a: int | None
    b: int | None


class KeyChange(MappedAnswer):
    """A key of the config whose values differ."""

    key: str
    a: object
    b: object


class ScoreChange(MappedAnswer):
    """A metric that one or both versions were measured by."""

    name: str
    metric: str
    a: float | None
    b: float | None


class Difference(MappedAnswer):
    """The differences between two versions."""

    a: Side
    b: Side
    files: tuple[FileChange, ...]
    config: tuple[KeyChange, ...]
    evaluations: tuple[ScoreChange, ...]
    weights: tuple[Mapping[str, object], ...] | None  # as the hub compared them; None where it could not
