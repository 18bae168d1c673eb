"""The client of Dovetail, on the command line and in Python. The rules of a hub live on the hub, not here."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dovetail.async_client import AsyncClient
    from dovetail.client import Client, Pushed
    from dovetail.deeds import (
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
    from dovetail.locks import Lock
    from dovetail.problems import Problem
    from dovetail.syncing import Synced
    from dovetail.verdicts import Check, Verdict

__version__ = "0.2.0"
__all__ = [
    "AsyncClient", "Check", "Client", "Lock", "Problem", "Pushed", "Synced", "Verdict", "alias", "aliases", "branch",
    "check", "delete", "diff", "edit_release", "fit", "info", "lock", "manifest", "merge", "override", "pull", "push",
    "release", "releases", "remove_alias", "remove_branch", "remove_release", "remove_tag", "repair", "report",
    "roll_back_alias", "search", "sync", "tag", "try_text", "verdict", "whoami", "yank",
]  # fmt: skip

_HOMES = {
    "AsyncClient": "async_client",
    "Check": "verdicts",
    "Client": "client",
    "Lock": "locks",
    "Problem": "problems",
    "Pushed": "client",
    "Synced": "syncing",
    "Verdict": "verdicts",
}


def __getattr__(name: str) -> Any:
    # The hub and the engine import dovetail.adapters and must not pay for the client's network code.
    if name not in __all__:
        raise AttributeError(f"module 'dovetail' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # only when the first name is asked for

    return getattr(import_module(f"dovetail.{_HOMES.get(name, 'deeds')}"), name)


def __dir__() -> list[str]:
    return __all__
