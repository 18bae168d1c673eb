"""The client of Dovetail, on the command line and in Python. The rules of a hub live on the hub, not here."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dovetail.api.async_client import AsyncClient
    from dovetail.api.client import Client, Pushed
    from dovetail.api.deeds import (
        alias,
        aliases,
        branch,
        check,
        delete,
        diff,
        edit_release,
        fit,
        info,
        lock,
        manifest,
        merge,
        override,
        pull,
        push,
        release,
        releases,
        remove_alias,
        remove_branch,
        remove_release,
        remove_tag,
        repair,
        report,
        roll_back_alias,
        search,
        sync,
        tag,
        try_text,
        verdict,
        whoami,
        yank,
    )
    from dovetail.base.locks import Lock
    from dovetail.base.problems import Problem
    from dovetail.base.verdicts import Check, Verdict
    from dovetail.locks.syncing import Synced

__version__ = "0.2.0"
__all__ = [
    "AsyncClient", "Check", "Client", "Lock", "Problem", "Pushed", "Synced", "Verdict", "alias", "aliases", "branch",
    "check", "delete", "diff", "edit_release", "fit", "info", "lock", "manifest", "merge", "override", "pull", "push",
    "release", "releases", "remove_alias", "remove_branch", "remove_release", "remove_tag", "repair", "report",
    "roll_back_alias", "search", "sync", "tag", "try_text", "verdict", "whoami", "yank",
]  # fmt: skip

_HOMES = {
    "AsyncClient": "api.async_client",
    "Check": "base.verdicts",
    "Client": "api.client",
    "Lock": "base.locks",
    "Problem": "base.problems",
    "Pushed": "api.client",
    "Synced": "locks.syncing",
    "Verdict": "base.verdicts",
}


def __getattr__(name: str) -> Any:
    # The hub and the engine import dovetail.adapters and must not pay for the client's network code.
    if name not in __all__:
        raise AttributeError(f"module 'dovetail' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # only when the first name is asked for

    return getattr(import_module(f"dovetail.{_HOMES.get(name, 'api.deeds')}"), name)


def __dir__() -> list[str]:
    return __all__
