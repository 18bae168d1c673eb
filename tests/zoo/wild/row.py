"""A row of the wild zoo: where the repository comes from, what the tool does to it, and the verdict an expert gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.zoo.changes import Change

NONE = "nothing"  # the verdict on a repository without an adapter: there is none
TRAINED = "privacy.training-data"  # warns of state of the training
UNLICENSED, UNTASKED = "card.license", "card.task"


@dataclass(frozen=True)
class Row:
    """`source` is maker/name of a made adapter, "" for files that the change makes of nothing; `base` one of the zoo's.

    `expected` is the check that must refuse it, "" if it must pass. `warns` are all checks that must warn. `facts` are
    what must be said of it: format, kind, task, base, depth. `says` must stand in the message of what refuses it, or of
    a check that warns.
    """

    name: str
    source: str
    change: Change
    expected: str = ""
    warns: tuple[str, ...] = ()
    base: str | None = None
    says: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    engines: tuple[str, ...] = ("e5",)
