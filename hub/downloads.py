"""Counts downloads, once an hour for each caller: one pull asks for several files, by HTTP or by Xet, and in pieces."""

from django.http import HttpRequest

from hub import counters
from hub.origin import network_of
from registry.kernel.policy import Caller
from registry.models import Repository
from registry.repos import popularity

AGAIN_SECONDS = 3600


def count(request: HttpRequest, repository: Repository, caller: Caller) -> None:
    """Note that the caller takes something of the adapter now; it is written down within seconds."""
    who = caller.user.pk if caller.user else network_of(request)
    if counters.count(f"download:{repository.pk}:{who}", AGAIN_SECONDS) == 1:
        popularity.count_download(repository.pk)
