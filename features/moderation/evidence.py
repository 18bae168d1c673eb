"""Evidence of an abuse report: the place that it points to, and the files that moderators look at, each look logged."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from registry.kernel import audit, policy, refusals
from registry.kernel.errors import PathInvalid, RegistryError, RevisionNotFound, ValueInvalid
from registry.kernel.texts import names
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
            "commit": self.commit,
            "file": self.file,
            "line": self.line,
            "end_line": self.end_line,
            "tensor": self.tensor,
        }
        return {name: part for name, part in parts.items() if part}

    def __str__(self) -> str:
        lines = f" line {self.line}" if self.line else ""
        if self.line and self.end_line and self.end_line > self.line:
            lines = f" lines {self.line}–{self.end_line}"
        tensor = f" tensor {self.tensor}" if self.tensor else ""
        commit = f" at {self.commit[:12]}" if self.commit else ""
        return f"{self.file}{lines}{tensor}{commit}".strip()


def parse(items: Sequence[Mapping[str, object]]) -> list[Evidence]:
    """Return the evidence that a caller sent. Raises ValueInvalid."""
    if len(items) > MAX_ITEMS:
        raise ValueInvalid(
            f"A report has at most {MAX_ITEMS} pieces of evidence.", fix="Send only the most important ones."
        )
    return [parsed for item in items if (parsed := _parse(item)) != Evidence()]


def _parse(item: Mapping[str, object]) -> Evidence:
    part = {name: str(item.get(name) or "").strip() for name in ("commit", "file", "tensor")}
    with _concerning("commit"):
        commit = _commit(part["commit"])
    with _concerning("file"):
        file = names.check_path(part["file"]) if part["file"] else ""
    with _concerning("tensor"):
        tensor = names.check_text(part["tensor"], "name of the tensor", 500)
    with _concerning("line"):
        line, end_line = _line(item.get("line")), _line(item.get("end_line"))
    end_line = end_line if line and end_line and end_line > line else None
    return Evidence(commit, file, line, end_line, tensor)


@contextmanager
def _concerning(field: str) -> Iterator[None]:
    """Name the part of the evidence that a refusal concerns, so that a form shows it there."""
    try:
        yield
    except (PathInvalid, ValueInvalid) as refusal:
        raise ValueInvalid(refusal.detail, fix=refusal.fix, field=field) from None


def _commit(text: str) -> str:
    commit = names.check_text(text, "commit", 40).lower()
    if not set(commit) <= set("0123456789abcdef"):
        raise ValueInvalid(f"{commit!r} is not a commit ID.", fix="Copy the ID from the version's page.")
    return commit


def _line(value: object) -> int | None:
    if value in (None, ""):
        return None
    text = str(value) if isinstance(value, int | str) else ""
    # The length first: int() refuses thousands of digits by an error of its own.
    if not text.isdecimal() or len(text) > len(str(MAX_LINE)) or not 0 < int(text) <= MAX_LINE:
        raise ValueInvalid(f"{str(value)[:20]!r} is not a line number.", fix="Use a whole number from 1.")
    return int(text)


def places(case: Case) -> list[Evidence]:
    """Return what the reports of a case point to, each place once, without who pointed to it."""
    items = [Evidence(**item) for report in case.reports.all() for item in report.evidence]
    return list(dict.fromkeys(items))


# --- files under moderation
def look(full_name: str, rev: str, path: str, by: policy.Caller, *, type: str = "model") -> tuple[Revision, Entry]:
    """Return one file of something that is held back or in an open case, and log that the moderator looked.

    Raises what policy.require_moderator raises, RevisionNotFound for what is under no moderation, FileNotFound.
    """
    actor = policy.require_moderator(by)
    revision = under_moderation(full_name, rev, by, type=type)
    entry = pull.find_file(revision, path)
    audit.record(actor, "adapter:look", f"{revision.repository.full_name}@{revision.oid}:{entry.path}"[:255])
    return revision, entry


def under_moderation(full_name: str, rev: str, by: policy.Caller, *, type: str = "model") -> Revision:
    """Return a revision that moderators may look into: it is held back, or part of a case that is open.

    A deletion hides no evidence: after the repository of that name, those in the bin that had it are looked up.
    """
    policy.require_moderator(by)
    refusal: RegistryError = refusals.repository_not_found(full_name)
    for repository in lookup.named_or_binned(full_name, type):
        try:
            revision = pull.resolve(repository, rev)
        except RevisionNotFound as missing:
            refusal = refusal if repository.is_binned else missing
            continue
        if _is_held(repository, revision) or _is_in_case(repository):
            return revision
        if not repository.is_binned:
            refusal = RevisionNotFound(
                f"{repository.full_name} is neither quarantined nor part of an open case.",
                fix="Report it first, then open the case.",
            )
    raise refusal


def _is_held(repository: Repository, revision: Revision) -> bool:
    return policy.is_held(repository) or revision.is_quarantined


def _is_in_case(repository: Repository) -> bool:
    return repository.cases.exclude(state=Case.State.CLOSED).exists()
