"""The options that every command has."""

from dataclasses import dataclass

from dovetail.api.client import Client
from dovetail.terminal.printer import Printer


@dataclass
class Options:
    """The global options."""

    endpoint: str | None
    token: str | None
    printer: Printer

    def client(self) -> Client:
        return Client(self.endpoint, self.token)
