"""A revision without what is private in its files, for a pull request; its history still holds it."""

from collections.abc import Iterator, Mapping

from dovetail.adapters.convert.redact import Redacted, redact
from features.editing import weights
from registry.kernel.errors import ValueInvalid
from registry.models import Repository
from registry.publish.push import Deletion, Inline, Operation
from registry.repos.contents import facts
from registry.repos.manifest import Entry

TITLE = "Remove private data"
MAX_LISTED = 50
HISTORY = (
    "**Earlier commits still hold these bytes**, for everybody who can read the repository. Revoke every token and key "
    "that is named here: a merge does not make it secret again."
)


def find(entries: Mapping[str, Entry]) -> Redacted:
    """Return the files of a revision without what is private; false if nothing can be removed."""
    return redact(facts.file_openers(entries), weights.MAX_BYTES)


def required(entries: Mapping[str, Entry]) -> Redacted:
    """Return the same. Raises ValueInvalid if nothing can be removed."""
    redacted = find(entries)
    if not redacted:
        left = f" What is private must be changed by hand: {'; '.join(redacted.left[:5])}." if redacted.left else ""
        raise ValueInvalid(
            f"The hub found no private data that it can remove.{left}",
            fix="The verdict lists every place under privacy.secret and privacy.training-data.",
        )
    return redacted


def operations(repository: Repository, redacted: Redacted) -> Iterator[Operation]:
    """Store the rewritten weights for a push, and yield its operations."""
    for path, raw in redacted.texts.items():
        yield Inline(path, raw)
    for path, rewritten in redacted.weights.items():
        yield weights.stored(repository, path, rewritten.write)
    for path in redacted.deleted:
        yield Deletion(path)


def why(redacted: Redacted) -> str:
    """Return the text of the pull request."""
    parts = [f"Removed, with no value of a tensor changed:\n\n{_listed(redacted.removed)}"]
    if redacted.left:
        parts.append(f"Left, to be changed by hand:\n\n{_listed(redacted.left)}")
    return "\n\n".join([*parts, HISTORY])


def _listed(sentences: list[str]) -> str:
    more = len(sentences) - MAX_LISTED
    lines = [f"- {sentence}" for sentence in sentences[:MAX_LISTED]]
    return "\n".join([*lines, *([f"- and {more} more"] if more > 0 else [])])
