"""kombu's transport for Redis, with one mend: a worker receives again after Redis did not take an acknowledgement."""

from kombu.transport import TRANSPORT_ALIASES, redis, virtual


class SettlingQoS(redis.QoS):
    """Counts the messages in work.

    kombu goes on counting a message whose acknowledgement failed. A worker that takes one message at a time would wait
    for its end for ever, and does not even notice that its connection is gone. Redis delivers that message again.
    """

    def ack(self, delivery_tag: str) -> None:
        """Tell Redis that a message is done. Raises what redis-py does while Redis does not answer."""
        try:
            super().ack(delivery_tag)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give a message back, or drop it. Raises as above."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        finally:
            virtual.QoS.ack(self, delivery_tag)


class Channel(redis.Channel):
    """A channel of this transport."""

    QoS = SettlingQoS


class Transport(redis.Transport):
    """The transport of redis:// and rediss:// after `install`."""

    Channel = Channel


def install() -> None:
    """Let kombu take this transport for Redis."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))
