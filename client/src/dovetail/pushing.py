"""Creates a repository and uploads a folder to it with huggingface_hub, by Xet if both sides support it."""

import logging
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of whichever client a release uses
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
)
from huggingface_hub.utils.logging import set_verbosity
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from dovetail.problems import Problem, refusal, unreachable, usage

# Files of editors and version control, and those that `pull` and huggingface_hub keep for themselves.
IGNORED = [".git/**", ".git", "**/.DS_Store", ".DS_Store", "**/__pycache__/**", ".cache/**"]


def push(
    endpoint: str, token: str | None, folder: Path, adapter: str, *,
    message: str | None, branch: str, private: bool | None, show_progress: bool,
) -> str:  # fmt: skip
    """Upload the folder and return its commit; unchanged content returns the existing one. Raises Problem."""
    api = HfApi(endpoint=endpoint, token=token, library_name="dovetail-hub")
    quiet = are_progress_bars_disabled()
    set_verbosity(logging.ERROR)  # it warns when a push changes nothing, which our output shows anyway
    if not show_progress:
        disable_progress_bars()
    try:
        api.create_repo(adapter, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=adapter, folder_path=folder, revision=branch, ignore_patterns=IGNORED,
            commit_message=message or f"Push {folder.resolve().name}",
        )  # fmt: skip
    except HfHubHTTPError as error:
        raise _problem(error, endpoint) from error
    except HFValidationError as error:
        raise usage(f"{adapter!r} is not an adapter's id.", str(error)) from error
    except RuntimeError as error:  # the Xet client raises it for every failure
        raise Problem(
            f"The upload failed: {error}", "Try again; HF_HUB_DISABLE_XET=1 uploads without Xet.", code="client-upload"
        ) from error
    except (HTTPError, OSError) as error:  # no connection, or no folder to read
        raise unreachable(endpoint, error) from error
    finally:
        if not show_progress and not quiet:
            enable_progress_bars()
    return commit.oid


def _problem(error: HfHubHTTPError, endpoint: str) -> Problem:
    answer = error.response
    message = answer.headers.get("X-Error-Message") or error.server_message
    if not message:
        return refusal(answer.status_code, {}, endpoint)
    code = answer.headers.get("X-Error-Code") or "client-refused"
    return Problem(message, code=code, status=answer.status_code)
