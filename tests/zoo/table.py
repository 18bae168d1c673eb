"""Tries every specimen on real warm engines and counts: what was expected against what was said."""

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.repos import card
from tests.engine.conftest import ROOT, Engine
from tests.zoo.specimen import Specimen

THREADS = 2


@dataclass(frozen=True)
class Answer:
    """The verdict of one engine on one specimen."""

    specimen: Specimen
    engine: str
    state: str
    failed: tuple[str, ...]
    depth: str
    message: str
    milliseconds: float

    @property
    def wanted(self) -> str:
        return self.specimen.wanted(self.engine)

    @property
    def got(self) -> str:
        return "+".join(self.failed) if self.failed else self.state

    @property
    def error(self) -> str:
        """How the answer is wrong; "" when it is right."""
        if self.state == "errored":
            return "engine error"
        if not self.wanted:
            if self.failed:
                return "false fail"
            return "shallow" if self.specimen.depth not in ("", self.depth) else ""
        if not self.failed:
            return "false pass"
        return "" if self.failed == (self.wanted,) else "wrong reason"


def answers(specimens: Iterable[Specimen], bases: Path, threads: int = THREADS) -> Iterator[Answer]:
    """Starts one engine for each base and environment, and asks it of all its specimens in turn."""
    groups: dict[tuple[Any, ...], list[Specimen]] = defaultdict(list)
    for one in specimens:
        for engine in one.engines:
            groups[one.base, engine].append(one)
    with ThreadPoolExecutor(threads) as pool:
        for found in pool.map(lambda group: list(_asked(group[0][0], group[0][1], group[1], bases)), groups.items()):
            yield from found


def _asked(base: str, engine: str, specimens: list[Specimen], bases: Path) -> Iterator[Answer]:
    options = ("--base", bases / base, "--base-id", f"zoo/{base}") if base else ()
    with tempfile.TemporaryDirectory() as home:
        try:
            running = Engine(home, *options, python=ROOT / ".engines" / engine / "bin" / "python")
        except AssertionError as problem:
            for one in specimens:
                yield Answer(one, engine, "errored", ("no engine",), "", str(problem), 0.0)
            return
        for one in specimens:
            began = time.monotonic()
            verdict = running.validate(one.folder, card_of(one.folder), **({} if base else {"known_bases": KNOWN}))
            refusals = [check for check in verdict["checks"] if check["outcome"] == "failed"]
            said = "; ".join(f"{check['id']}: {check['message']}" for check in refusals)
            yield Answer(
                one, engine, verdict["state"], tuple(check["id"] for check in refusals), verdict["depth"], said,
                round((time.monotonic() - began) * 1000, 1),
            )  # fmt: skip
        running.stop()


KNOWN = ("zoo/bert", "zoo/llama")


def card_of(folder: Path) -> dict:
    """The front matter as the worker reads it."""
    readme = folder / "README.md"
    return card.parse_card(readme.read_text(errors="replace")).data if readme.is_file() else {}


def table(found: list[Answer]) -> str:
    """The confusion table: a row for each expected check, how many were tried and how many were told something else."""
    tried, wrong = Counter(), defaultdict(Counter)
    for one in found:
        tried[one.wanted or "passes"] += 1
        if one.error:
            wrong[one.wanted or "passes"][one.error] += 1
    kinds = ("false pass", "false fail", "wrong reason", "engine error", "shallow")
    head = f"{'expected':26}{'tried':>7}{'right':>7}" + "".join(f"{kind:>14}" for kind in kinds)
    lines = [
        f"{name:26}{count:7}{count - sum(wrong[name].values()):7}"
        + "".join(f"{wrong[name][kind]:14}" for kind in kinds)
        for name, count in sorted(tried.items(), key=lambda item: (item[0] != "passes", item[0]))
    ]
    every = {kind: sum(row[kind] for row in wrong.values()) for kind in kinds}
    total = sum(tried.values())
    last = f"{'together':26}{total:7}{total - sum(every.values()):7}" + "".join(f"{every[kind]:14}" for kind in kinds)
    return "\n".join([head, *lines, last])


def errors(found: list[Answer]) -> list[str]:
    return [
        f"{one.error}: {one.specimen.name} on {one.specimen.base or 'no base'} by {one.engine}: "
        f"expected {one.wanted or 'pass'}, got {one.got} ({one.depth})  {one.message[:300]}"
        for one in found
        if one.error
    ]
