"""Fixes for refusals of a hub, in terms of the command that was typed: names that are near, and its help."""

import difflib
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from dovetail.base.problems import Problem

if TYPE_CHECKING:
    from dovetail.api.client import Client

MOST_NAMES = 8
_VERSION = re.compile(r"[\w.-]+/[\w.-]+(@.+)?")


def advise(problem: Problem, command: str, words: Sequence[str], caller: "Client") -> None:
    """Give a problem the fix that fits the words of a command, where there is a better one than the hub's."""
    into = {word for before, word in pairwise(words) if before == "--into"}  # what is written to may be new
    versions = [word.partition("@")[::2] for word in words if _VERSION.fullmatch(word) and word not in into]
    try:
        if problem.code == "value-invalid" and "openapi.json" in problem.fix:
            problem.fix = f"See `dovetail {command} --help`."
        elif problem.code in ("adapter-not-found", "RepoNotFound"):  # of our REST, and of the Hub's routes
            _name_near_ones(problem, [adapter for adapter, _ in versions if f"'{adapter}'" in problem.detail], caller)
        elif problem.code == "revision-not-found":
            _name_versions(problem, versions, caller)
    except Problem:  # the hub said what is wrong; that it does not answer now changes nothing about it
        return


def _name_near_ones(problem: Problem, missing: Sequence[str], caller: "Client") -> None:
    for adapter in missing:
        namespace, _, name = adapter.partition("/")
        there = [*caller.search(author=namespace, limit=100), *caller.search(name)]
        near = difflib.get_close_matches(adapter, {item["id"] for item in there}, 3, 0.7)
        if near:
            problem.fix = f"Did you mean {' or '.join(near)}?"


def _name_versions(problem: Problem, versions: Sequence[tuple[str, str]], caller: "Client") -> None:
    for adapter, asked in versions:
        if problem.detail.removeprefix(f"{adapter}@{asked}: ") != f"Invalid rev id: {asked}.":
            continue
        facts = caller.info(adapter)
        names = [*(facts.get("aliases") or ()), *(facts.get("revision_tags") or ()), *(facts.get("branches") or ())]
        near = difflib.get_close_matches(asked, names, 1)
        problem.detail = f"{adapter} has no version {asked}."
        problem.fix = (
            f"Did you mean {adapter}@{near[0]}?"
            if near
            else f"It has {', '.join(names[:MOST_NAMES])}{' …' if len(names) > MOST_NAMES else ''}, and ids of commits."
        )
