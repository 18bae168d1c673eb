"""Attacks over the network and local sockets."""

from __future__ import annotations

import os
import socket

from workers.engine.attacks.entry import MARK, SOCKET, Attacks, Targets

attack = Attacks()


@attack("A TCP connection can be made.")
def _tcp(targets: Targets) -> bool:
    with socket.create_connection(("127.0.0.1", targets.tcp), timeout=1):
        return True


@attack("A TCP port can be opened.")
def _listen(targets: Targets) -> bool:
    with socket.create_server(("127.0.0.1", 0)):
        return True


@attack("A datagram can be sent.")
def _udp(targets: Targets) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(MARK, ("127.0.0.1", targets.udp)) > 0


@attack("A Unix socket can be reached by its path.")
def _unix_path(targets: Targets) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        os.chdir(targets.folder)  # the path of a socket has 107 bytes at most, that of a folder any number
        caller.connect(SOCKET)
        return True


@attack("An abstract Unix socket can be reached.")
def _unix_abstract(targets: Targets) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(targets.abstract)
        return True


@attack("A netlink socket can be opened.")
def _netlink(targets: Targets) -> bool:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW):
        return True
