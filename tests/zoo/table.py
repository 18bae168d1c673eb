"""Tries every specimen on real warm engines and counts: what was expected against what was said."""

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dovetail.adapters import describe, files_in
from dovetail.adapters.formats.bystanders import told
from dovetail.adapters.formats.description import contents, judged
from registry.repos.contents import card
from tests.engine.conftest import ROOT, Engine
from tests.zoo.specimen import Specimen
from tests.zoo.wild.row import NONE

THREADS = 2
TIMED = {"run.cost"}  # what a busy machine may bring about
KINDS = (
    "false pass", "false fail", "wrong reason", "engine error", "shallow", "warnings", "facts", "wrong words",
)  # fmt: skip


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
    warned: Mapping[str, str] = field(default_factory=dict)  # check → its message
    facts: Mapping[str, str] = field(default_factory=dict)

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
            if self.failed or self.state == NONE:
                return "false fail"
            return self._passed_otherwise()
        if not self.failed and self.state != self.wanted:
            return "false pass"
        if self.failed and self.failed != (self.wanted,):
            return "wrong reason"
        return "" if self.specimen.says in self.message else "wrong words"

    def _passed_otherwise(self) -> str:
        """The fault of an answer that rightly passes."""
        one = self.specimen
        if one.depth not in ("", self.depth):
            return "shallow"
        if one.warns is not None and set(one.warns) != self.warned.keys() - TIMED:
            return "warnings"
        if self.other_facts:
            return "facts"
        return "" if one.says in " ".join((self.message, *self.warned.values())) else "wrong words"

    @property
    def other_facts(self) -> dict[str, tuple[str, str]]:
        """The facts that differ from the expected ones: name → expected and given."""
        pairs = {name: (value, self.facts.get(name, "")) for name, value in self.specimen.facts.items()}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


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
            yield _answer(running, engine, one)
        running.stop()


def _answer(running: Engine, engine: str, one: Specimen) -> Answer:
    """The answer of the hub about a specimen: of the folders that a verdict covers the worst decides."""
    files = files_in(one.folder)
    description = describe(files)
    if description is None:
        return Answer(one, engine, NONE, (), "", " ".join(told(files)), 0.0)
    began = time.monotonic()
    job = {} if one.base else {"known_bases": KNOWN}
    verdicts = [
        running.validate(one.folder, card_of(one.folder), place=place, **job) for place in judged(contents(files))
    ]
    verdict = min(verdicts, key=lambda verdict: ("errored", "failed", "passed").index(verdict["state"]))
    checks = [check for verdict in verdicts for check in verdict["checks"]]
    refusals = [check for check in verdict["checks"] if check["outcome"] == "failed"]
    facts = {"format": description.format, "kind": description.kind, "base": description.base,
             "task": description.task, "depth": verdict["depth"]}  # fmt: skip
    return Answer(
        one, engine, verdict["state"], tuple(check["id"] for check in refusals), verdict["depth"],
        "; ".join(f"{check['id']}: {check['message']} {check['fix']}" for check in refusals),
        round((time.monotonic() - began) * 1000, 1),
        {check["id"]: f"{check['message']} {check['fix']}" for check in checks if check["outcome"] == "warned"},
        {name: value or "" for name, value in facts.items()},
    )  # fmt: skip


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
    head = f"{'expected':26}{'tried':>7}{'right':>7}" + "".join(f"{kind:>14}" for kind in KINDS)
    lines = [
        f"{name:26}{count:7}{count - sum(wrong[name].values()):7}"
        + "".join(f"{wrong[name][kind]:14}" for kind in KINDS)
        for name, count in sorted(tried.items(), key=lambda item: (item[0] != "passes", item[0]))
    ]
    every = {kind: sum(row[kind] for row in wrong.values()) for kind in KINDS}
    total = sum(tried.values())
    last = f"{'together':26}{total:7}{total - sum(every.values()):7}" + "".join(f"{every[kind]:14}" for kind in KINDS)
    return "\n".join([head, *lines, last])


def warnings(found: list[Answer]) -> str:
    """The share of adapters that rightly pass of which each check warns, also among the tools' repositories alone."""
    good = [one for one in found if not one.wanted and one.state == "passed"]
    wild = [one for one in good if one.specimen.warns is not None]
    lines = [f"{'warns of good ones':26}{'all':>7}{'':>8}{'tools':>7}"]
    counts = Counter(check for one in good for check in one.warned)
    for check, count in counts.most_common():
        of_tools = sum(check in one.warned for one in wild)
        lines.append(f"{check:26}{count:7}{count / len(good):8.1%}{of_tools:7}{of_tools / max(1, len(wild)):8.1%}")
    quiet = sum(not one.warned for one in good), sum(not one.warned for one in wild)
    last = f"{'none':26}{quiet[0]:7}{quiet[0] / max(1, len(good)):8.1%}{quiet[1]:7}{quiet[1] / max(1, len(wild)):8.1%}"
    return "\n".join([*lines, last, f"{'together':26}{len(good):7}{'':8}{len(wild):7}"])


def errors(found: list[Answer]) -> list[str]:
    return [
        f"{one.error}: {one.specimen.name} on {one.specimen.base or 'no base'} by {one.engine}: "
        f"expected {one.wanted or 'pass'}, got {one.got} ({one.depth})  {_details(one)}"
        for one in found
        if one.error
    ]


def _details(one: Answer) -> str:
    if one.error == "warnings":
        other = {check: said for check, said in one.warned.items() if check not in (one.specimen.warns or ())}
        lacking = [check for check in one.specimen.warns or () if check not in one.warned]
        return f"not expected {other}, lacking {lacking}"
    if one.error == "facts":
        return str(one.other_facts)
    wanted = f"(not said: {one.specimen.says!r}) " if one.error == "wrong words" else ""
    return wanted + one.message[:400]
