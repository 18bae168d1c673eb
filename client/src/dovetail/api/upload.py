"""Creates a repository and sends a push to it with huggingface_hub: the bytes first, by Xet if possible, one commit.

`upload_folder` of huggingface_hub cuts a large folder into many commits; `create_commit` makes one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RevisionNotFoundError

from dovetail.api import hub_api
from dovetail.api.payload import Payload
from dovetail.base.ids import MAIN

ATTRIBUTES = ".gitattributes"  # the Hub's clients expect it in every repository


@dataclass(frozen=True)
class Landed:
    """The commit of a push, the address of its pull request if it made one, and whether it changed anything."""

    oid: str
    pull_request: str | None = None
    is_changed: bool = True


def push(
    endpoint: str, token: str | None, payload: Payload, adapter: str, *,
    message: str, branch: str = MAIN, private: bool | None = None, delete: Sequence[str] = (), create_pr: bool = False,
    show_progress: bool = False,
) -> Landed:  # fmt: skip
    """Send everything in one commit; unchanged content returns the existing one. Raises Problem.

    `delete` are patterns of remote files. What was sent of an interrupted push is not sent again.
    """
    api = hub_api.api(endpoint, token)
    with hub_api.progress(is_shown=show_progress), hub_api.problems(endpoint, adapter, "upload"):
        api.create_repo(adapter, private=private, exist_ok=True)
        if branch != MAIN and not branch.startswith("refs/"):
            api.create_branch(adapter, branch=branch, exist_ok=True)
        gone = doomed(api.list_repo_files(adapter, revision=branch), delete, payload) if delete else []
        operations: list[CommitOperationAdd | CommitOperationDelete] = [CommitOperationDelete(path) for path in gone]
        operations += [CommitOperationAdd(path, content) for path, content in payload.files.items()]
        before = _head(api, adapter, branch)
        commit = api.create_commit(adapter, operations, commit_message=message, revision=branch, create_pr=create_pr)
    return Landed(commit.oid, commit.pr_url, commit.oid != before)


def _head(api: HfApi, adapter: str, branch: str) -> str | None:
    """Return the commit of a branch; None where it has none yet."""
    try:
        return api.model_info(adapter, revision=branch).sha
    except RevisionNotFoundError:
        return None


def doomed(remote: Sequence[str], patterns: Sequence[str], payload: Payload) -> list[str]:
    """Return the remote files that the patterns delete: none that is sent."""
    kept = {ATTRIBUTES, *payload.files}
    return [path for path in remote if path not in kept and any(fnmatchcase(path, pattern) for pattern in patterns)]
