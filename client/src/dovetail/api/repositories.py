"""Changes of a repository besides a push: deleting it, its tags and branches, its pull requests; by the Hub's routes.

Raises Problem everywhere.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from dovetail.api.connection import Connection

T = TypeVar("T")


def delete(caller: "Connection", adapter: str) -> None:
    """Delete a repository."""
    _do(caller, adapter, lambda api: api.delete_repo(adapter))


def create_tag(caller: "Connection", adapter: str, tag: str, revision: str, message: str | None = None) -> None:
    """Create a tag at a revision."""
    _do(caller, adapter, lambda api: api.create_tag(adapter, tag=tag, revision=revision, tag_message=message))


def delete_tag(caller: "Connection", adapter: str, tag: str) -> None:
    """Delete a tag; what it names stays."""
    _do(caller, adapter, lambda api: api.delete_tag(adapter, tag=tag))


def create_branch(caller: "Connection", adapter: str, branch: str, revision: str) -> None:
    """Create a branch at a revision."""
    _do(caller, adapter, lambda api: api.create_branch(adapter, branch=branch, revision=revision))


def delete_branch(caller: "Connection", adapter: str, branch: str) -> None:
    """Delete a branch."""
    _do(caller, adapter, lambda api: api.delete_branch(adapter, branch=branch))


def pull_requests(caller: "Connection", adapter: str, status: str) -> list[dict[str, Any]]:
    """Return the pull requests that are open, closed (merged ones too), or all of them; the newest first."""
    listed = _do(
        caller,
        adapter,
        lambda api: list(
            api.get_repo_discussions(adapter, discussion_type="pull_request", discussion_status=status)  # type: ignore[arg-type]  # our words are its words
        ),
    )
    return [
        {
            "number": discussion.num,
            "title": discussion.title,
            "author": discussion.author,
            "status": discussion.status,
            "created_at": discussion.created_at.isoformat(),
            "url": f"{caller.endpoint}/{adapter}/discussions/{discussion.num}",
        }
        for discussion in listed
    ]


def merge(caller: "Connection", adapter: str, number: int) -> None:
    """Merge a pull request."""
    _do(caller, adapter, lambda api: api.merge_pull_request(adapter, number))


def close(caller: "Connection", adapter: str, number: int) -> None:
    """Close a pull request without merging it."""
    _do(caller, adapter, lambda api: api.change_discussion_status(adapter, number, "closed"))


def _do(caller: "Connection", adapter: str, deed: "Callable[[HfApi], T]") -> T:
    # Importing huggingface_hub takes 0.3 s, more than everything else together.
    from dovetail.api import hub_api  # noqa: PLC0415  # only these deeds pay for it

    with hub_api.problems(caller.endpoint, adapter):
        return deed(hub_api.api(caller.endpoint, caller.token))
