"""Asks a hub for a try: a base and an adapter answer a text of one's own."""

import math
import time

from dovetail.api.connection import path
from dovetail.base.answers import Tryout
from dovetail.base.problems import Problem
from dovetail.base.reading_hub import ReadingHub

WAIT_SECONDS = 5  # of one request, less than its timeout
PAUSE_SECONDS = 0.5  # where a busy hub answers at once
UNFINISHED = ("queued", "running")


def ask(
    hub: ReadingHub, adapter: str, revision: str, text: str, other: str, tokens: int, timeout: float | None
) -> Tryout:
    """Return the finished try. Raises Problem with the reason of one that failed, or is not done within `timeout`."""
    place = f"{path(adapter, revision)}/try"
    asked = hub.post(place, {"text": text, "other": other, "new_tokens": tokens}, Tryout)
    place = f"{path(adapter, asked.revision)}/try/{asked.id}"
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while asked.state in UNFINISHED:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Problem("The try is not answered yet.", "Try again with a longer --timeout.", code="client-try-late")
        asked = hub.get(f"{place}?wait={int(min(WAIT_SECONDS, left))}", Tryout)
        if asked.state in UNFINISHED:
            time.sleep(min(PAUSE_SECONDS, left))
    if asked.state == "failed":
        raise Problem(asked.reason or "It could not be tried.", code="client-try-failed")
    if asked.answer is None:
        raise Problem(asked.reason or "Nobody answered it.", "Try again later.", code="client-try-late")
    return asked
