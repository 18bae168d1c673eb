"""Reads docker-compose.yml as Docker would: anchors merged, ${VARIABLES} filled in, $$ undone."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from ops.sentences import ROOT


def file() -> dict[str, Any]:
    """Return the whole file."""
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return parsed


def services() -> dict[str, Any]:
    """Return the services as written, with their variables not yet filled in."""
    found: dict[str, Any] = file()["services"]
    return found


def fill(value: str, variables: Mapping[str, str]) -> str:
    """Fill in ${NAME}, ${NAME:-default} and ${NAME:?complaint}; raise KeyError with the complaint."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        given = variables.get(match["name"], "")
        if not given and match["kind"] == ":?":
            raise KeyError(f"{match['name']}: {match['rest']}")
        return given or (match["rest"] if match["kind"] == ":-" else "")

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<rest>[^}]*))?\}", one, value)


def command(name: str, variables: Mapping[str, str]) -> list[str]:
    """Return the command line of a service."""
    service = services()[name]
    return [fill(word, variables) for word in [*service.get("entrypoint", []), *service["command"]]]


def environment(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service."""
    return {key: fill(value, variables) for key, value in services()[name].get("environment", {}).items()}
