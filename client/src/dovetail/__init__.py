"""The client of Dovetail, on the command line and in Python. The rules of a hub live on the hub, not here."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dovetail.client import Client, Pushed, check, pull, push
    from dovetail.problems import Problem
    from dovetail.verdict import Check, Verdict

__version__ = "0.1.0"
__all__ = ["Check", "Client", "Problem", "Pushed", "Verdict", "check", "pull", "push"]

_HOMES = {
    **dict.fromkeys(("Client", "Pushed", "check", "pull", "push"), "dovetail.client"),
    **dict.fromkeys(("Check", "Verdict"), "dovetail.verdict"),
    "Problem": "dovetail.problems",
}


def __getattr__(name: str) -> Any:
    # The hub and the engine import dovetail.adapters and must not pay for the client's network code.
    if name not in _HOMES:
        raise AttributeError(f"module 'dovetail' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # only when the first name is asked for

    return getattr(import_module(_HOMES[name]), name)
