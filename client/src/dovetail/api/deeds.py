"""The methods of `Client` as functions, for the hub and the token that the environment or the last login names."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from dovetail.api.client import Client, Pushed
from dovetail.api.looking import require_folder
from dovetail.base.ids import MAIN
from dovetail.base.verdicts import Verdict

P = ParamSpec("P")
R = TypeVar("R")


def _of_default(method: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    """Return a method of Client as a function; for another hub, make a Client."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return method(Client(), *args, **kwargs)

    return call


def check(path: str | Path) -> Verdict:
    """Run the static checks on the adapter in a folder, without a hub. Raises Problem."""
    # Importing the checks and YAML would double the start-up time of every other command.
    from dovetail.api import checking  # noqa: PLC0415  # only a check pays for PyYAML

    return checking.check(require_folder(path))


def push(
    path: str | Path, adapter: str, *, endpoint: str | None = None, token: str | None = None,
    message: str | None = None, branch: str = MAIN, private: bool | None = None, base: str = "",
    include: Sequence[str] = (), exclude: Sequence[str] = (), delete: Sequence[str] = (), create_pr: bool = False,
    wait: bool = False, timeout: float | None = None,
) -> Pushed:  # fmt: skip
    """Push a folder to NAMESPACE/NAME in one commit, as Client.push does. Raises Problem."""
    return Client(endpoint, token).push(
        path, adapter, message=message, branch=branch, private=private, base=base, include=include, exclude=exclude,
        delete=delete, create_pr=create_pr, wait=wait, timeout=timeout,
    )  # fmt: skip


def pull(
    adapter: str,
    to: str | Path | None = None,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
    token: str | None = None,
) -> Path:
    """Download NS/NAME or NS/NAME@REV, verify every byte, and return its folder. Raises Problem."""
    return Client(endpoint, token).pull(adapter, to, revision=revision)


whoami = _of_default(Client.whoami)
search = _of_default(Client.search)
info = _of_default(Client.info)
manifest = _of_default(Client.manifest)
diff = _of_default(Client.diff)
fit = _of_default(Client.fit)
try_text = _of_default(Client.try_text)
lock = _of_default(Client.lock)
sync = _of_default(Client.sync)
verdict = _of_default(Client.verdict)
repair = _of_default(Client.repair)
merge = _of_default(Client.merge)
report = _of_default(Client.report)
yank = _of_default(Client.yank)
override = _of_default(Client.override)
aliases = _of_default(Client.aliases)
alias = _of_default(Client.alias)
roll_back_alias = _of_default(Client.roll_back_alias)
remove_alias = _of_default(Client.remove_alias)
tag = _of_default(Client.tag)
remove_tag = _of_default(Client.remove_tag)
branch = _of_default(Client.branch)
remove_branch = _of_default(Client.remove_branch)
releases = _of_default(Client.releases)
release = _of_default(Client.release)
edit_release = _of_default(Client.edit_release)
remove_release = _of_default(Client.remove_release)
delete = _of_default(Client.delete)
