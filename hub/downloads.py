"""Counts downloads, at most one an hour for each caller: one pull makes many requests, by HTTP or by Xet."""

import math
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.http import HttpRequest

from hub import counters
from hub.origin import network_in
from registry.kernel.policy import Caller
from registry.models import Repository
from registry.repos import popularity

DOWNLOAD_AGAIN: str = "dovetail.download_again"  # in META: counts the same download of another client; takes its META
AGAIN_SECONDS = 3600
SURE_SECONDS = 60  # for which a process remembers that it has counted a caller, without asking the broker
MOST_COUNTED = 10_000
_counted: dict[tuple[int, int | str], float] = {}


def count(request: HttpRequest, repository: Repository, caller: Caller) -> None:
    """Count a download of a repository by a caller; it is written to the database within seconds."""
    request.META[DOWNLOAD_AGAIN] = again = partial(_count, repository.pk, caller.user.pk if caller.user else None)
    again(request.META)


def _count(repository: int, user: int | None, environ: Mapping[str, Any]) -> None:
    who = network_in(environ) if user is None else user
    now = time.monotonic()
    if now - _counted.get((repository, who), -math.inf) < SURE_SECONDS:
        return
    if len(_counted) >= MOST_COUNTED:
        _counted.clear()
    _counted[repository, who] = now
    if counters.count(f"download:{repository}:{who}", AGAIN_SECONDS) == 1:
        popularity.count_download(repository)
