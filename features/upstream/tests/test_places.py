"""Requests that wait for another hub hold threads of the same sum as all others that wait."""

from contextlib import ExitStack

import pytest

from features.upstream.asking import UpstreamUnavailable
from features.upstream.fetching import _Places
from hub.api.streams import NoPlace, Places
from registry.kernel.capacity import MOST_HELD, held_threads
from tests.registry.test_held_threads import request_of


def test_kinds_share_one_sum_and_give_their_threads_back():
    polls, followers = Places(MOST_HELD, of_caller=MOST_HELD, of_network=MOST_HELD), _Places(MOST_HELD)
    with ExitStack() as undo:
        for number in range(MOST_HELD - 1):
            undo.callback(polls.take(request_of(number)))
        followers.enter()
        with pytest.raises(NoPlace) as refused:
            polls.take(request_of(MOST_HELD))
        assert refused.value.is_full
        with pytest.raises(UpstreamUnavailable):
            followers.enter()
        followers.leave(is_waiting=True)
        give_back = polls.take(request_of(MOST_HELD))
        give_back()
        give_back()  # a second time changes nothing
    assert len(held_threads) == MOST_HELD, "a thread was not given back"
