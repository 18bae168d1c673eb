"""Runs tests of the suite against a hub that is up, and tells what came of each; knows nothing of how hubs are run."""

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as XML
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.hub_suite import gallery, upstream

PATIENCE = 60  # seconds for one test: some push a hundred files


@dataclass(frozen=True)
class Outcome:
    """The outcome of one test: `passed`, `failed` or `skipped`, and the first line of the reason."""

    id: str
    what: str
    why: str = ""


@dataclass(frozen=True)
class Verdict:
    """The outcomes of one run over a hub."""

    outcomes: list[Outcome]
    seconds: float

    def count(self, what: str) -> int:
        return sum(one.what == what for one in self.outcomes)

    def of_file(self, name: str) -> list[Outcome]:
        return [one for one in self.outcomes if one.id.startswith(f"{name}::")]

    def sentence(self) -> str:
        return f"{self.count('passed')} of {len(self.outcomes)} passed in {self.seconds:.0f} s"


def judge(url: str, folder: Path, ids: Iterable[str], *, asked: Path | None = None) -> Verdict:
    """Seed the hub with what the tests look for, run those tests, and return what came of them.

    The hub must hold `gallery.PEOPLE` and not throttle. `folder` keeps the reports; `asked` a note of each request.
    Raises AssertionError with what pytest said when it could not run them.
    """
    home = upstream.build()
    folder.mkdir(parents=True, exist_ok=True)
    said, wanted, report = folder / "suite.json", folder / "ids.txt", folder / "junit.xml"
    gallery_of(home, url, said)
    wanted.write_text("\n".join(ids) + "\n")
    report.unlink(missing_ok=True)
    began = time.monotonic()
    command = [home / "bin" / "python", "-m", "pytest", "-q", "-c", "pytest.ini", "--rootdir", ".", "--tb=short"]
    command += ["-n", "2", "--dist", "loadscope", "--timeout", str(PATIENCE), "--junitxml", report, f"@{wanted}"]
    environment = _quiet() | {"DOVETAIL_SUITE": str(said)}
    environment |= {"DOVETAIL_SUITE_ASKED": str(asked)} if asked else {}
    with (folder / "pytest.log").open("w") as log:
        subprocess.run(command, cwd=home / "suite", env=environment, stdout=log, stderr=log)
    assert report.exists(), (folder / "pytest.log").read_text()[-3000:]
    return Verdict(list(_read(report)), time.monotonic() - began)


def gallery_of(home: Path, url: str, said: Path) -> None:
    """Fill the hub with look-alikes of the public repositories that tests name; `said` gets who and what they are."""
    command = [home / "bin" / "python", Path(gallery.__file__), url, said]
    done = subprocess.run(command, env=_quiet(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def collect(files: Iterable[str]) -> list[str]:
    """Return the ids of every test in these files of the suite."""
    home = upstream.build()
    said = home / "nobody.json"
    said.write_text(json.dumps({"constants": {"ENDPOINT_STAGING": "http://127.0.0.1:9"}, "names": {}}))
    command = [home / "bin" / "python", "-m", "pytest", "-q", "-c", "pytest.ini", "--rootdir", ".", "--co", *files]
    environment = _quiet() | {"DOVETAIL_SUITE": str(said)}
    done = subprocess.run(command, cwd=home / "suite", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("tests/")]


def _quiet() -> dict[str, str]:
    ours = ("HF_", "DOVETAIL_", "DJANGO_", "HUGGING", "PYTEST_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _read(report: Path) -> Iterator[Outcome]:
    """Read JUnit's XML; what fails on the way out of a test is told by an element of its own, and counts as failed."""
    found: dict[str, Outcome] = {}
    for case in XML.parse(report).iter("testcase"):
        file, _, classes = case.get("classname", "").partition(".test_")
        module, *inner = classes.split(".")
        id = "::".join([f"{file.replace('.', '/')}/test_{module}.py", *inner, case.get("name", "")])
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            found[id] = Outcome(id, "failed", (bad.get("message") or bad.text or "").strip().splitlines()[0][:300])
        elif case.find("skipped") is not None:
            found.setdefault(id, Outcome(id, "skipped", case.find("skipped").get("message", "")))
        else:
            found.setdefault(id, Outcome(id, "passed"))
    yield from found.values()


if __name__ == "__main__":  # python -m tests.hub_suite.judge URL FOLDER [ids or files]: over a hub that is up
    verdict = judge(sys.argv[1], Path(sys.argv[2]).resolve(), sys.argv[3:])
    for outcome in verdict.outcomes:
        if outcome.what == "failed":
            print(outcome.id, "-", outcome.why)
    print(verdict.sentence())
