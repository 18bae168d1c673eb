"""Creates a repository and sends a push to it with huggingface_hub: the bytes first, by Xet if possible, one commit.

`upload_folder` of huggingface_hub cuts a large folder into many commits; `create_commit` makes one.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of whichever client a release uses
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
)
from huggingface_hub.utils.logging import set_verbosity
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from dovetail.payload import Payload
from dovetail.problems import Problem, local_files, refusal, unreachable, usage

MAIN = "main"
ATTRIBUTES = ".gitattributes"  # the Hub's clients expect it in every repository


@dataclass(frozen=True)
class Landed:
    """The commit of a push, and the address of its pull request, if it made one."""

    oid: str
    pull_request: str | None = None


def push(
    endpoint: str, token: str | None, payload: Payload, adapter: str, *,
    message: str, branch: str = MAIN, private: bool | None = None, delete: Sequence[str] = (), create_pr: bool = False,
    show_progress: bool = False,
) -> Landed:  # fmt: skip
    """Send everything in one commit; unchanged content returns the existing one. Raises Problem.

    `delete` are patterns of remote files. What was sent of an interrupted push is not sent again.
    """
    api = HfApi(endpoint=endpoint, token=token, library_name="dovetail-hub")
    with _progress(is_shown=show_progress), _problems(endpoint, adapter):
        api.create_repo(adapter, private=private, exist_ok=True)
        if branch != MAIN and not branch.startswith("refs/"):
            api.create_branch(adapter, branch=branch, exist_ok=True)
        gone = doomed(api.list_repo_files(adapter, revision=branch), delete, payload) if delete else []
        operations: list[CommitOperationAdd | CommitOperationDelete] = [CommitOperationDelete(path) for path in gone]
        operations += [CommitOperationAdd(path, content) for path, content in payload.files.items()]
        commit = api.create_commit(adapter, operations, commit_message=message, revision=branch, create_pr=create_pr)
    return Landed(commit.oid, commit.pr_url)


def doomed(remote: Sequence[str], patterns: Sequence[str], payload: Payload) -> list[str]:
    """Return the remote files that the patterns delete: none that is sent."""
    kept = {ATTRIBUTES, *payload.files}
    return [path for path in remote if path not in kept and any(fnmatchcase(path, pattern) for pattern in patterns)]


def merge(endpoint: str, token: str | None, adapter: str, number: int) -> None:
    """Merge a pull request. Raises Problem."""
    api = HfApi(endpoint=endpoint, token=token, library_name="dovetail-hub")
    with _problems(endpoint, adapter):
        api.merge_pull_request(adapter, number)


@contextmanager
def _progress(*, is_shown: bool) -> Iterator[None]:
    """Show the bars of huggingface_hub, or nothing."""
    was_disabled = are_progress_bars_disabled()
    set_verbosity(logging.ERROR)  # it warns when a push changes nothing, which our output shows anyway
    if not is_shown:
        disable_progress_bars()
    try:
        yield
    finally:
        if not is_shown and not was_disabled:
            enable_progress_bars()


@contextmanager
def _problems(endpoint: str, adapter: str) -> Iterator[None]:
    """Raise Problem in place of what huggingface_hub raises."""
    try:
        yield
    except HfHubHTTPError as error:
        raise _problem(error, endpoint) from error
    except HFValidationError as error:
        raise usage(f"{adapter!r} is not an adapter's id.", str(error)) from error
    except RuntimeError as error:  # the Xet client raises it for every failure
        raise Problem(
            f"The upload failed: {error}", "Try again; HF_HUB_DISABLE_XET=1 uploads without Xet.", code="client-upload"
        ) from error
    except HTTPError as error:
        raise unreachable(endpoint, error) from error
    except OSError as error:
        raise (unreachable(endpoint, error) if error.filename is None else local_files(error)) from error


def _problem(error: HfHubHTTPError, endpoint: str) -> Problem:
    answer = error.response
    message = answer.headers.get("X-Error-Message") or error.server_message
    if not message:
        return refusal(answer.status_code, {}, endpoint)
    code = answer.headers.get("X-Error-Code") or "client-refused"
    return Problem(message, code=code, status=answer.status_code)
