"""The client of Dovetail, on the command line and in Python. The rules of a hub live on the hub, not here."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dovetail.api.client import AsyncClient, Client, Pushed, check, pull, push
    from dovetail.locks import Lock
    from dovetail.problems import Problem
    from dovetail.store.folder_sync import Synced
    from dovetail.verdicts import Check, Verdict

    # Types of what __getattr__ finds: the methods of a client of the hub that the environment names.
    _hub = Client()
    whoami, search, info, manifest, diff, fit = _hub.whoami, _hub.search, _hub.info, _hub.manifest, _hub.diff, _hub.fit
    try_text, verdict, repair, merge, report = _hub.try_text, _hub.verdict, _hub.repair, _hub.merge, _hub.report
    lock, sync, yank, override, delete = _hub.lock, _hub.sync, _hub.yank, _hub.override, _hub.delete
    aliases, alias, roll_back_alias = _hub.aliases, _hub.alias, _hub.roll_back_alias
    remove_alias, tag, remove_tag = _hub.remove_alias, _hub.tag, _hub.remove_tag
    branch, remove_branch, remove_release = _hub.branch, _hub.remove_branch, _hub.remove_release
    releases, release, edit_release = _hub.releases, _hub.release, _hub.edit_release

__version__ = "0.3.0"
__all__ = [
    "AsyncClient", "Check", "Client", "Lock", "Problem", "Pushed", "Synced", "Verdict", "alias", "aliases", "branch",
    "check", "delete", "diff", "edit_release", "fit", "info", "lock", "manifest", "merge", "override", "pull", "push",
    "release", "releases", "remove_alias", "remove_branch", "remove_release", "remove_tag", "repair", "report",
    "roll_back_alias", "search", "sync", "tag", "try_text", "verdict", "whoami", "yank",
]  # fmt: skip

_HOMES = {
    "AsyncClient": "api.client",
    "Check": "verdicts",
    "Client": "api.client",
    "Lock": "locks",
    "Problem": "problems",
    "Pushed": "api.client",
    "Synced": "store.folder_sync",
    "Verdict": "verdicts",
    "check": "api.client",
    "pull": "api.client",
    "push": "api.client",
}


def __getattr__(name: str) -> Any:
    # The hub and the engine import dovetail.adapters and must not pay for the client's network code.
    if name not in __all__:
        raise AttributeError(f"module 'dovetail' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # only when the first name is asked for

    if name in _HOMES:
        return getattr(import_module(f"dovetail.{_HOMES[name]}"), name)
    return import_module("dovetail.api.client").of_default(name)


def __dir__() -> list[str]:
    return __all__
