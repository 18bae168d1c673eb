"""Evidence of an abuse report: the place that it points to, and the files that moderators look at, each look logged."""

from dataclasses import dataclass
from typing import Any

from registry.kernel import audit, names, policy
from registry.kernel.errors import RevisionNotFound, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import Case, Repository, Revision
from registry.repos import lookup, pull
from registry.repos.manifest import Entry

MAX_ITEMS = 20
MAX_LINE = 10_000_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """A place that proves what a report says: a commit, a file, lines of it, or a tensor in it."""

    commit: str = ""
    file: str = ""
    line: int | None = None
    end_line: int | None = None
    tensor: str = ""

    def as_json(self) -> dict[str, str | int]:
        """Return the parts that are given."""
        parts = {
            "commit": self.commit, "file": self.file, "line": self.line, "end_line": self.end_line,
            "tensor": self.tensor,
        }  # fmt: skip
        return {name: part for name, part in parts.items() if part}

    def __str__(self) -> str:
        lines = f" line {self.line}" if self.line else ""
        if self.line and self.end_line and self.end_line > self.line:
            lines = f" lines {self.line}–{self.end_line}"
        tensor = f" tensor {self.tensor}" if self.tensor else ""
        commit = f" at {self.commit[:12]}" if self.commit else ""
        return f"{self.file}{lines}{tensor}{commit}".strip()


def parse(items: list[dict[str, Any]]) -> list[Evidence]:
    """Return the evidence that a caller sent. Raises ValueInvalid."""
    if len(items) > MAX_ITEMS:
        raise ValueInvalid(f"A report has at most {MAX_ITEMS} pieces of evidence.", fix="Send the clearest ones.")
    return [parsed for item in items if (parsed := _parse(item)) != Evidence()]


def _parse(item: dict[str, Any]) -> Evidence:
    commit = names.check_text(str(item.get("commit") or ""), "commit", 40).lower()
    if commit and not set(commit) <= set("0123456789abcdef"):
        raise ValueInvalid(f"{commit!r} is no commit id.", fix="Copy the commit id from the page of the version.")
    line, end_line = (_line(item.get(name)) for name in ("line", "end_line"))
    return Evidence(
        commit=commit,
        file=names.check_text(str(item.get("file") or ""), "path of the file", names.MAX_PATH),
        line=line,
        end_line=end_line if line and end_line and end_line > line else None,
        tensor=names.check_text(str(item.get("tensor") or ""), "name of the tensor", 500),
    )


def _line(value: object) -> int | None:
    if value in (None, ""):
        return None
    if not isinstance(value, int | str) or not str(value).isdecimal() or not 0 < int(value) <= MAX_LINE:
        raise ValueInvalid(f"{str(value)[:20]!r} is no line number.", fix="Count lines from 1.")
    return int(value)


def places(case: Case) -> list[Evidence]:
    """Return what the reports of a case point to, each place once, without who pointed to it."""
    items = [Evidence(**item) for report in case.reports.all() for item in report.evidence]
    return list(dict.fromkeys(items))


# --- files under moderation
def look(full_name: str, rev: str, path: str, by: Caller, *, type: str = "model") -> tuple[Revision, Entry]:
    """Return one file of something that is held back or in an open case, and log that the moderator looked.

    Raises what policy.require_moderator raises, RevisionNotFound for what is under no moderation, FileNotFound.
    """
    actor = policy.require_moderator(by)
    revision = under_moderation(full_name, rev, by, type=type)
    entry = pull.find_file(revision, path)
    audit.record(actor, "adapter:look", f"{revision.repository.full_name}@{revision.oid}:{entry.path}"[:255])
    return revision, entry


def under_moderation(full_name: str, rev: str, by: Caller, *, type: str = "model") -> Revision:
    """Return a revision that moderators may look into: it is held back, or part of a case that is open."""
    repository = lookup.find(full_name, by, Permission.QUARANTINE, type=type)
    revision = pull.resolve(repository, rev)
    if not (_is_held(repository, revision) or _is_in_case(repository)):
        raise RevisionNotFound(
            f"{repository.full_name} is neither held back nor part of an open case.",
            fix="Report it first, then look into the case.",
        )
    return revision


def _is_held(repository: Repository, revision: Revision) -> bool:
    return policy.is_withheld(repository) or revision.is_quarantined


def _is_in_case(repository: Repository) -> bool:
    return repository.cases.exclude(state=Case.State.CLOSED).exists()
