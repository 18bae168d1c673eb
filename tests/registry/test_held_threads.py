"""Requests that hold threads are bounded together, whatever kind fills them."""

from contextlib import ExitStack
from io import BytesIO

import pytest
from django.test import RequestFactory
from rest_framework.request import Request

from hub.api.places import NoPlace, Places
from hub.server.large_bodies import LARGE, holding
from registry.kernel.errors import DownloadsFull, UpstreamUnavailable
from registry.kernel.limits.held_threads import MOST, held_threads
from registry.upstream.fetching import _Places


def request_of(number):
    return Request(RequestFactory().get("/", REMOTE_ADDR=f"10.0.{number}.1"))


def test_kinds_share_one_sum_and_give_their_threads_back():
    polls, followers = Places(MOST, of_caller=MOST, of_network=MOST), _Places(MOST)
    with ExitStack() as undo:
        for number in range(MOST - 1):
            undo.callback(polls.take(request_of(number)))
        followers.enter()
        with pytest.raises(NoPlace) as refused:
            polls.take(request_of(MOST))
        assert refused.value.is_full
        with pytest.raises(UpstreamUnavailable):
            followers.enter()
        followers.leave(is_waiting=True)
        give_back = polls.take(request_of(MOST))
        give_back()
        give_back()  # a second time changes nothing
    assert len(held_threads) == MOST, "a thread was not given back"


def test_large_files_are_of_the_same_sum():
    polls = Places(MOST, of_caller=MOST, of_network=MOST)
    with ExitStack() as undo:
        for number in range(MOST):
            undo.callback(polls.take(request_of(number)))
        with pytest.raises(DownloadsFull):
            holding(LARGE + 1, BytesIO)
        assert holding(LARGE, BytesIO)
    source = holding(LARGE + 1, lambda: (piece for piece in (b"a", b"b")))
    assert len(held_threads) == MOST - 1
    assert b"".join(source) == b"ab"
    del source
    assert len(held_threads) == MOST
