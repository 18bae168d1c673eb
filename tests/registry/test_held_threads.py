"""Requests that hold threads are bounded together, whatever kind fills them."""

from contextlib import ExitStack
from io import BytesIO

import pytest
from django.test import RequestFactory
from rest_framework.request import Request

from hub.api.streams import Places
from hub.server.large_bodies import LARGE, holding
from registry.kernel.capacity import MOST_HELD, held_threads
from registry.kernel.errors import DownloadsFull


def request_of(number):
    return Request(RequestFactory().get("/", REMOTE_ADDR=f"10.0.{number}.1"))


def test_large_files_are_of_the_same_sum():
    polls = Places(MOST_HELD, of_caller=MOST_HELD, of_network=MOST_HELD)
    with ExitStack() as undo:
        for number in range(MOST_HELD):
            undo.callback(polls.take(request_of(number)))
        with pytest.raises(DownloadsFull):
            holding(LARGE + 1, BytesIO)
        assert holding(LARGE, BytesIO)
    source = holding(LARGE + 1, lambda: (piece for piece in (b"a", b"b")))
    assert len(held_threads) == MOST_HELD - 1
    assert b"".join(source) == b"ab"
    del source
    assert len(held_threads) == MOST_HELD
