"""Counts downloads, at most one an hour for each caller: one pull makes many requests, by HTTP or by Xet."""

from django.http import HttpRequest

from hub import counters
from hub.origin import network_of
from registry.kernel.policy import Caller
from registry.models import Repository
from registry.repos import popularity

AGAIN_SECONDS = 3600


def count(request: HttpRequest, repository: Repository, caller: Caller) -> None:
    """Count a download of a repository by a caller; it is written to the database within seconds."""
    who = caller.user.pk if caller.user else network_of(request)
    if counters.count(f"download:{repository.pk}:{who}", AGAIN_SECONDS) == 1:
        popularity.count_download(repository.pk)
