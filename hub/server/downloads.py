"""Counts downloads, at most one an hour for each caller: one pull makes many requests, by HTTP or by Xet."""

from django.core.cache import caches
from django.http import HttpRequest

from hub.origin import network_of
from hub.server import counters
from registry.kernel.policy import Caller
from registry.models import Repository
from registry.repos.delivery import popularity

AGAIN_SECONDS = 3600
SURE_SECONDS = 60  # a process that has counted a caller does not ask the broker about them again for so long


def count(request: HttpRequest, repository: Repository, caller: Caller) -> None:
    """Count a download of a repository by a caller; it is written to the database within seconds."""
    who = caller.user.pk if caller.user else network_of(request)
    key = f"download:{repository.pk}:{who}"
    is_new_here = caches["counters"].add(f"asked:{key}", 1, SURE_SECONDS)
    if is_new_here and counters.count(key, AGAIN_SECONDS) == 1:
        popularity.count_download(repository.pk)
