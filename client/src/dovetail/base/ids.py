"""Ids as people write them: NAMESPACE/NAME, and with a revision NAMESPACE/NAME@REV."""

import re

from dovetail.base.problems import usage

MAIN = "main"


def check_adapter(adapter: str) -> None:
    """Raise Problem unless this looks like NAMESPACE/NAME."""
    namespace, slash, name = adapter.partition("/")
    if not (namespace and slash and name) or "/" in name or {namespace, name} & {".", ".."}:
        raise usage(f"{adapter!r} is not an adapter's id.", "Write it as NAMESPACE/NAME, as in alice/reviews-lora.")


def is_commit(revision: str) -> bool:
    """Return whether this is a whole id of a commit."""
    return re.fullmatch("[0-9a-f]{40}", revision) is not None


def split(text: str, default: str = MAIN) -> tuple[str, str]:
    """Return the adapter and the revision of NS/NAME[@REV]. Raises Problem."""
    adapter, at, revision = text.partition("@")
    check_adapter(adapter)
    if at and not revision:
        raise usage(f"{text!r} names no revision after its @.", f"Write {adapter}, or {adapter}@verified.")
    return adapter, revision or default


def split_exact(text: str, example: str) -> tuple[str, str]:
    """Return the adapter and the revision of NS/NAME@REV, where the revision must be named. Raises Problem."""
    adapter, _, revision = text.partition("@")
    if not revision:
        raise usage(f"{text!r} names no revision.", f"Write {adapter}@{example}.")
    check_adapter(adapter)
    return adapter, revision
