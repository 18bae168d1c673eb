"""A push: the files of a folder, sent with huggingface_hub, whose exceptions become Problem.

With a base given, configs and card that name it are sent; the folder itself never changes. The repository is created,
the bytes go first, by Xet if possible, then one commit: `upload_folder` cuts a large folder into many commits.
"""

import errno
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, __version__, hf_api
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of whichever client a release uses
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)
from huggingface_hub.utils.logging import set_verbosity
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from dovetail import ids
from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Opener
from dovetail.ids import MAIN
from dovetail.problems import Problem, local_files, offline, refusal, unreachable, usage

CARD = "README.md"
FENCE = "---"
BASE_FIELDS = {"peft": "base_model_name_or_path", "adapters": "model_name"}


@dataclass(frozen=True)
class Payload:
    """The files to send by their paths in the repository: on disk, or as bytes where they differ from the folder's."""

    files: Mapping[str, Path | bytes]
    rewritten: tuple[str, ...] = ()

    def openers(self) -> dict[str, Opener]:
        """Return path → function that opens the file for reading, for the checks."""
        return {path: _opener(content) for path, content in self.files.items()}

    def size(self, path: str) -> int:
        content = self.files[path]
        return len(content) if isinstance(content, bytes) else content.stat().st_size

    def open(self, path: str) -> BinaryIO:
        return _opener(self.files[path])()


def collect(folder: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = (), base: str = "") -> Payload:
    """Return what a push of this folder sends; patterns match whole paths, and `*` matches slashes too.

    Raises Problem where nothing is left, or a config cannot be read.
    """
    files: dict[str, Path | bytes] = {}
    for path, file in _walk(folder):
        if ids.is_chosen(path, include, exclude):
            files[path] = file
    if not files:
        if include or exclude:
            raise usage("The patterns leave no file to push.", "Change --include and --exclude.")
        raise usage(f"{folder} is empty: there is nothing to push.", "Name the folder that contains the adapter.")
    return Payload(files) if not base else _with_base(files, base)


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if ids.KEPT_BACK.intersection(parts):
            continue
        if file.is_symlink() and not file.exists():
            raise local_files(FileNotFoundError(2, "it is a broken link", str(file)))
        if file.is_file():
            yield "/".join(parts), file


def _opener(content: Path | bytes) -> Opener:
    return (lambda: io.BytesIO(content)) if isinstance(content, bytes) else (lambda: content.open("rb"))


# --- the base ---------------------------------------------------------------------------------------------------------
def _with_base(files: Mapping[str, Path | bytes], base: str) -> Payload:
    """Return the files with this base in every config, and in a card that names the same one as a config did."""
    changed: dict[str, bytes] = {}
    former: set[str] = set()
    found = False
    for path, file in files.items():
        if path.rpartition("/")[2] != configs.NAME or isinstance(file, bytes):
            continue
        config = _read_config(file)
        field = "model_name" if "model_name" in config else BASE_FIELDS["peft"]
        found = True
        if (name := configs.text(config, field)) != base:
            former |= {name} if name else set()
            changed[path] = (json.dumps({**config, field: base}, indent=2, ensure_ascii=False) + "\n").encode()
    if not found:
        raise usage(f"There is no {configs.NAME} to write --base into.", "Leave --base out.")
    card = files.get(CARD)
    if former and isinstance(card, Path) and (text := _card_with(card.read_bytes(), former, base)) is not None:
        changed[CARD] = text
    return Payload({**files, **changed}, tuple(changed))


def _read_config(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            return dict(configs.read(opened))
    except configs.ConfigError as problem:
        raise usage(f"{file} cannot be read: {problem}.", "Save the adapter again.") from None


def _card_with(card: bytes, former: set[str], base: str) -> bytes | None:
    """Return the card with the base in its front matter in place of the former ones; None if it names none of them."""
    text = card.decode("utf-8", "surrogateescape")
    start, fence, rest = text.partition(FENCE)
    front, end, body = rest.partition(f"\n{FENCE}")
    if start.strip("\ufeff \n\r\t") or not (fence and end):
        return None
    after = front
    for name in sorted(former, key=len, reverse=True):
        after = after.replace(name, base)
    if after == front:
        return None
    return f"{start}{fence}{after}{end}{body}".encode("utf-8", "surrogateescape")


_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
NAME = "dovetail-hub"  # in the User-Agent


if __version__.startswith("0."):
    # It reads the address of each commit as one on HF_ENDPOINT, and fails after a commit on any other hub.
    _read_address = hf_api.RepoUrl.__init__

    def _read_address_of_any_hub(self: hf_api.RepoUrl, url: str, endpoint: str | None = None) -> None:
        _read_address(self, url, endpoint or url.rsplit("/", 2)[0])

    hf_api.RepoUrl.__init__ = _read_address_of_any_hub  # type: ignore[method-assign]


def api_of(endpoint: str, token: str | None) -> HfApi:
    """Return the API of one hub. Without a token nothing is sent: one that is saved for another hub stays here."""
    return HfApi(endpoint=endpoint, token=token or False, library_name=NAME)


@contextmanager
def progress(*, is_shown: bool) -> Iterator[None]:
    """Show the bars of huggingface_hub, or nothing; its warnings about cards are in `dovetail check` too."""
    was_disabled = are_progress_bars_disabled()
    set_verbosity(logging.ERROR)  # it warns when a push changes nothing, which our output shows anyway
    if not is_shown:
        disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        if not is_shown and not was_disabled:
            enable_progress_bars()


@contextmanager
def problems(endpoint: str, adapter: str, doing: str = "request") -> Iterator[None]:
    """Raise Problem in place of what huggingface_hub raises."""
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise offline() from error
    except HfHubHTTPError as error:
        raise _problem(error, endpoint, adapter) from error
    except HFValidationError as error:
        raise usage(f"{adapter!r} is not an adapter's id.", str(error)) from error
    except LocalEntryNotFoundError as error:  # a download that found the hub neither there nor its files in the cache
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise _problem(cause, endpoint, adapter) from error
        raise unreachable(endpoint, cause or error) from error
    except RuntimeError as error:  # the Xet client raises it for every failure
        raise Problem(
            f"The {doing} failed: {error}",
            f"Try again; HF_HUB_DISABLE_XET=1 does the {doing} without Xet.",
            code=f"client-{doing}",
        ) from error
    except HTTPError as error:
        raise unreachable(endpoint, error) from error
    except OSError as error:
        is_local = error.filename is not None or error.errno in _OF_DISKS
        raise (local_files(error) if is_local else unreachable(endpoint, error)) from error


def _problem(error: HfHubHTTPError, endpoint: str, adapter: str) -> Problem:
    answer = error.response
    message = answer.headers.get("X-Error-Message") or error.server_message
    if not message:
        return refusal(answer.status_code, {}, endpoint)
    code = answer.headers.get("X-Error-Code") or "client-refused"
    if code == "RepoNotFound":  # the protocol's words name no repository
        message, fix = f"There is no repository '{adapter}', or you may not see it.", "Check its spelling, and sign in."
        return Problem(message, fix, code=code, status=answer.status_code)
    return Problem(message, code=code, status=answer.status_code)


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

    `delete` are patterns of remote files. Files that an interrupted push has sent are not sent again.
    """
    api = api_of(endpoint, token)
    with progress(is_shown=show_progress), problems(endpoint, adapter, "upload"):
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
