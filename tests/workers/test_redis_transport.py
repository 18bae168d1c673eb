"""The transport for Redis: a worker that takes one message at a time outlives a Redis that ends during its task."""

from collections.abc import Callable

import pytest
from kombu import Connection, Message, Queue
from kombu.transport import redis
from redis import Redis

from hub.celery import Transport
from tests.services import valkey

pytestmark = pytest.mark.merge

ENDS: dict[str, Callable[[Message], None]] = {"acknowledged": Message.ack, "given back": Message.requeue}


def receive(url: str, end: Callable[[Message], None], transport: type) -> bool:
    """Take one message, end Redis, and end the message; return whether the channel would take another one."""
    with Connection(url, transport=transport, transport_options={"socket_timeout": 5}) as connection:
        received: list[Message] = []
        queue = Queue("one")
        connection.Producer().publish("hint", routing_key="one", declare=[queue])
        with connection.Consumer(queue, on_message=received.append, accept=["json"]) as consumer:
            consumer.qos(prefetch_count=1)
            connection.drain_events(timeout=5)
            assert not consumer.channel.qos.can_consume()
            Redis.from_url(url).shutdown(nosave=True)
            with pytest.raises(connection.connection_errors):
                end(received[0])
            return consumer.channel.qos.can_consume()


@pytest.mark.parametrize("how", ENDS)
def test_a_message_whose_end_redis_did_not_take_keeps_no_other_one_away(how):
    with valkey() as url:
        assert receive(url, ENDS[how], Transport)


def test_kombu_itself_still_waits_for_ever():
    """A failure of this test says that kombu was mended: hub/celery.py can be removed then."""
    with valkey() as url:
        assert not receive(url, Message.ack, redis.Transport)
