"""A real SMTP server in this process, which keeps what it is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.services import free_ports


class Mailbox:
    """The messages that were delivered, oldest first; while `refuses` is set, each is refused with that answer."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.refuses = ""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuses:
            return self.refuses
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert envelope.rcpt_tos == [message["To"]]
        self.messages.append(message)
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        return [message for message in self.messages if message["To"] == address]


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, int]]:
    """Run a server on this machine; yield its mailbox and its port."""
    mailbox, port = Mailbox(), free_ports()[0]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()
