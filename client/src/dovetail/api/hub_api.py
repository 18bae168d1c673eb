"""huggingface_hub as this client uses it: for one hub, with Problem in place of its exceptions, and bars on demand."""

import errno
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import HfApi, __version__, hf_api
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of whichever client a release uses
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils.logging import set_verbosity
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from dovetail.base.problems import Problem, local_files, offline, refusal, unreachable, usage

_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
NAME = "dovetail-hub"  # in the User-Agent


if __version__.startswith("0."):
    # It reads the address of each commit as one on HF_ENDPOINT, and fails after a commit on any other hub.
    _read_address = hf_api.RepoUrl.__init__

    def _read_address_of_any_hub(self: hf_api.RepoUrl, url: str, endpoint: str | None = None) -> None:
        _read_address(self, url, endpoint or url.rsplit("/", 2)[0])

    hf_api.RepoUrl.__init__ = _read_address_of_any_hub  # type: ignore[method-assign]


def api(endpoint: str, token: str | None) -> HfApi:
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
            f"Try again; HF_HUB_DISABLE_XET=1 makes the {doing} without Xet.",
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
