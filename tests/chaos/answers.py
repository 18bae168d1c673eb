"""All answers that clients outside saw while something was broken, and what was wrong with them."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import httpx2 as httpx

NO_ANSWER = 0  # the connection was refused or cut
STORE = "/dovetail-blobs/"  # the prefix of presigned links, which the store answers itself


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its kind (`info`, `push` …), status, code of ours, and the time of its end in seconds."""

    kind: str
    status: int
    code: str
    at: float
    seconds: float
    problem: str = ""  # what our form of a 5xx lacks

    @property
    def is_good(self) -> bool:
        return 0 < self.status < 500


class Answers:
    """The answers of one scenario; threads add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Answer] = []

    def add(self, kind: str, response: httpx.Response | None, seconds: float) -> None:
        """Record an answer whose body was read; None: there was no answer."""
        now = time.monotonic()
        if response is None:
            answer = Answer(kind, NO_ANSWER, "no-answer", now, seconds)
        else:
            code = code_of(response) if response.status_code >= 400 else ""
            answer = Answer(kind, response.status_code, code, now, seconds, problem_of(response))
        with self._lock:
            self._all.append(answer)

    @property
    def all(self) -> list[Answer]:
        with self._lock:
            return list(self._all)

    def refused(self) -> Counter[str]:
        """Return how many answers were no success, by status and code."""
        bad = (one for one in self.all if not one.is_good)
        return Counter(f"{one.status} {one.code}" if one.status else one.code for one in bad)

    def bare(self) -> Counter[str]:
        """Return how many 5xx were not in our form, by kind, status and what they lack."""
        return Counter(f"{one.kind} {one.status}: {one.problem}" for one in self.all if one.problem)

    def longest_outage(self, kinds: Iterable[str]) -> float:
        """Return the longest time in seconds in which one of these kinds was asked for and had no success."""
        return max((_longest([one for one in self.all if one.kind == kind]) for kind in kinds), default=0.0)


def _longest(answers: list[Answer]) -> float:
    longest, failing_since = 0.0, None
    for one in sorted(answers, key=lambda one: one.at):
        if one.is_good:
            if failing_since is not None:
                longest = max(longest, one.at - failing_since)
            failing_since = None
        elif failing_since is None:
            failing_since = one.at - one.seconds
    if failing_since is not None:
        longest = max(longest, answers[-1].at - failing_since)
    return longest


def code_of(response: httpx.Response) -> str:
    """Return the code of a refusal, wherever its dialect has it."""
    if "json" in response.headers.get("Content-Type", ""):
        try:
            document = json.loads(response.content)
        except ValueError:
            return ""
        if isinstance(document, dict):
            return str(document.get("code") or response.headers.get("X-Error-Code", ""))
    if "text/html" in response.headers.get("Content-Type", ""):
        return "page"
    return response.headers.get("X-Error-Code", "")


def problem_of(response: httpx.Response) -> str:
    """Return what an answer 5xx lacks of our form; empty for what is right."""
    if response.status_code < 500:
        return ""
    lacks = []
    if response.status_code != 503:
        lacks.append("it is no 503")
    if "Retry-After" not in response.headers:
        lacks.append("Retry-After")
    if "X-Request-Id" not in response.headers:
        lacks.append("a request id")
    if response.request.method != "HEAD":
        if not code_of(response):
            lacks.append("a code")
        elif code_of(response) == "page" and b"<main" not in response.content:
            lacks.append("our page")
    return ", ".join(lacks)
