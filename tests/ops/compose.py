"""Reads docker-compose.yml as Docker would: anchors merged, ${VARIABLES} filled in, $$ undone."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from ops.sentences import ROOT

# Innermost first, as compose does: what is inside a default is evaluated also where the default is not used.
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:?[-?])(?P<rest>[^${}]*))?\}")


def file() -> dict[str, Any]:
    """Return the whole file."""
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return parsed


def services() -> dict[str, Any]:
    """Return the services as written, with their variables not yet filled in."""
    found: dict[str, Any] = file()["services"]
    return found


def fill(value: str, variables: Mapping[str, str]) -> str:
    """Fill in ${NAME}, ${NAME:-default}, ${NAME-default} and ${NAME:?complaint}; raise KeyError with the complaint."""

    def one(match: re.Match[str]) -> str:
        name, kind = match["name"], match["kind"] or ""
        if name in variables and (variables[name] or not kind.startswith(":")):
            return variables[name]
        if kind.endswith("?"):
            raise KeyError(f"{name}: {match['rest']}")
        return match["rest"] or ""

    parts = value.split("$$")
    for at, part in enumerate(parts):
        while VARIABLE.search(part):
            part = VARIABLE.sub(one, part)
        parts[at] = part
    return "$".join(parts)


def command(name: str, variables: Mapping[str, str]) -> list[str]:
    """Return the command line of a service."""
    service = services()[name]
    return [fill(word, variables) for word in [*service.get("entrypoint", []), *service["command"]]]


def environment(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service, where `variables` is all that .env holds."""
    service = services()[name]
    from_file = dict(variables) if service.get("env_file") == [".env"] else {}
    return from_file | {key: fill(value, variables) for key, value in service.get("environment", {}).items()}
