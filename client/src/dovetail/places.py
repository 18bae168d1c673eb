"""Finds the hub and the token for a command: options, then the environment, then what `dovetail login` saved."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dovetail.problems import Problem, usage

HUGGING_FACE = "https://huggingface.co"  # where huggingface_hub goes unless HF_ENDPOINT is set

Saved = dict[str, dict[str, str]]


def endpoint(given: str | None = None) -> str:
    """Return the hub's address without a last slash: given, DOVETAIL_ENDPOINT, HF_ENDPOINT, or the last login's."""
    address = (
        given
        or os.environ.get("DOVETAIL_ENDPOINT")
        or os.environ.get("HF_ENDPOINT")
        or _saved().get("last", {}).get("endpoint")
    )
    if not address:
        raise usage(
            "No hub is named.", "Give --endpoint https://…, set DOVETAIL_ENDPOINT, or run `dovetail login` once."
        )
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise usage(
            f"{address!r} is not the address of a hub.", "Write it with its scheme, as in https://hub.example.org."
        )
    return address.rstrip("/")


def token(endpoint: str, given: str | None = None) -> str | None:
    """Return the token for this hub: the given one, DOVETAIL_TOKEN, HF_TOKEN, the login's, `hf auth login`'s, or None.

    HF_TOKEN and the token of `hf auth login` go only to the hub that HF_ENDPOINT names: they are secret to others.
    """
    is_theirs = os.environ.get("HF_ENDPOINT", "").rstrip("/") == endpoint
    value = (
        given
        or os.environ.get("DOVETAIL_TOKEN")
        or (is_theirs and os.environ.get("HF_TOKEN"))
        or _saved().get("tokens", {}).get(endpoint)
        or (is_theirs and _read(_hf_token_file()))
    )
    return value.strip() if value else None


def source_token(endpoint: str, given: str | None = None) -> str | None:
    """Return the token for a hub that is imported from: given, DOVETAIL_SOURCE_TOKEN, a login's, or huggingface_hub's.

    DOVETAIL_TOKEN is for the hub that is imported to, and never goes to another one.
    """
    is_theirs = os.environ.get("HF_ENDPOINT", HUGGING_FACE).rstrip("/") == endpoint
    value = (
        given
        or os.environ.get("DOVETAIL_SOURCE_TOKEN")
        or saved_token(endpoint)
        or (is_theirs and (os.environ.get("HF_TOKEN") or _read(_hf_token_file())))
    )
    return value.strip() if value else None


def saved_token(endpoint: str) -> str | None:
    """Return the token that a login saved for this hub, for an address that a file names and nobody has chosen."""
    return _saved().get("tokens", {}).get(endpoint)


def chosen(given: str | None = None) -> str | None:
    """Return the hub that an option or the environment names."""
    address = given or os.environ.get("DOVETAIL_ENDPOINT") or os.environ.get("HF_ENDPOINT")
    return address.rstrip("/") if address else None


def is_offline() -> bool:
    """Return whether HF_HUB_OFFLINE keeps commands from the network, as huggingface_hub reads it."""
    stated = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return stated.upper() in {"1", "ON", "YES", "TRUE"}


def cache() -> Path:
    """Return the folder of all files that came to this machine: DOVETAIL_CACHE, or one in HF_HOME or the user's cache.

    HF_HOME names the disk that people chose for such files, and where the cache of huggingface_hub can be linked.
    """
    if place := os.environ.get("DOVETAIL_CACHE"):
        return Path(place).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "dovetail" / "files"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dovetail" / "files"


def remember(endpoint: str, token: str) -> Path:
    """Save a token for this hub in a file that only this user can read; return the file."""
    saved = _saved()
    saved.setdefault("tokens", {})[endpoint] = token
    saved["last"] = {"endpoint": endpoint}
    return _write(saved)


def forget(endpoint: str) -> bool:
    """Remove the token of this hub; return whether there was one."""
    saved = _saved()
    if endpoint not in saved.get("tokens", {}):
        return False
    del saved["tokens"][endpoint]
    _write(saved)
    return True


def plane(endpoint: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the address and the public keys of the read plane that a hub has stated; None where there is none."""
    try:
        one = json.loads(_read(_folder() / "planes.json") or "{}")[endpoint]
        return str(one["url"]), tuple(map(str, one["keys"]))
    except (ValueError, KeyError, TypeError):
        return None


def remember_plane(endpoint: str, stated: tuple[str, tuple[str, ...]] | None) -> None:
    """Save what `plane` returns, or forget it; a folder that cannot be written costs only that."""
    file = _folder() / "planes.json"
    with contextlib.suppress(OSError):
        try:
            planes = json.loads(_read(file) or "{}")
        except ValueError:
            planes = {}
        planes.pop(endpoint, None)
        if stated:
            planes[endpoint] = {"url": stated[0], "keys": list(stated[1])}
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(planes, indent=1))
        fresh.replace(file)


def _file() -> Path:
    return _folder() / "logins.json"


def _folder() -> Path:
    if home := os.environ.get("DOVETAIL_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "dovetail"


def _saved() -> Saved:
    text = _read(_file())
    try:
        saved = json.loads(text) if text else {}
    except ValueError:
        raise Problem(
            f"{_file()} is not JSON.", "Delete it and run `dovetail login` again.", code="client-logins-broken"
        ) from None
    return saved if isinstance(saved, Mapping) else {}  # type: ignore[return-value]  # written by this module alone


def _write(saved: Saved) -> Path:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    # Created with mode 600, not changed to it afterwards: in between another user could open it.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(saved, out, indent=1)
    fresh.replace(file)
    return file


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _hf_token_file() -> Path:
    if path := os.environ.get("HF_TOKEN_PATH"):
        return Path(path)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or cache / "huggingface") / "token"
