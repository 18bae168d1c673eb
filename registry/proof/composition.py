"""The composition of a revision: what has to be the same elsewhere for it to answer as it did when it was proven."""

from collections.abc import Sequence
from dataclasses import dataclass

from dovetail.adapters.results.report import BasePin, Report
from registry.models import Base, Revision, Verdict
from registry.repos import pull
from registry.repos.manifest import Entry


@dataclass(frozen=True)
class PinnedFile:
    """A file of a base; its size is None where only workers hold it."""

    path: str
    sha256: str
    size: int | None


@dataclass(frozen=True)
class Composition:
    """The files of a revision, the newest finished verdict with its report, and the files of the base it names."""

    entries: dict[str, Entry]
    verdict: Verdict | None
    report: Report | None
    base_files: tuple[PinnedFile, ...]

    @property
    def merge_order(self) -> Sequence[str]:
        """The folders of its adapters, in the order in which they are put on the base; "" is the top."""
        if self.report is None:
            return ()
        return [content.path for content in self.report.contents if content.proven] or [self.report.path]


def of_revision(revision: Revision) -> Composition:
    """Return the composition of a revision; four queries."""
    finished = revision.verdicts.filter(finished_at__isnull=False).order_by(*pull.LAST_SAID).first()
    report = finished.report if finished else None
    pin = report.base if report else None
    return Composition(pull.served_entries(revision), finished, report, _base_files(pin) if pin else ())


def _base_files(pin: BasePin) -> tuple[PinnedFile, ...]:
    """Return the files of exactly the base that was proven with; none if the hub has another version of it now."""
    base = Base.objects.filter(id=pin.id, sha256=pin.sha256 or "").first()
    if base is None:
        return ()
    sizes = dict(base.served_files.values_list("path", "size"))
    return tuple(PinnedFile(path, sha256, sizes.get(path)) for path, sha256 in sorted(base.files.items()))
