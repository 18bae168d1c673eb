"""The commands behind the Makefile: up, manage, demo, environments, pins, services, shape, test, without."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from hub.about import PORT
from ops import demo, environments, machine, pins, services, shape, suite, up, without
from ops.hub import Hub
from ops.sentences import Stop, complain


def requested_hub() -> Hub:
    """Return the hub that DATA, HOST and PORT of the make command describe."""
    data = Path(os.environ.get("DATA") or "data").expanduser()
    port = machine.port_number(os.environ.get("PORT") or str(PORT))
    return Hub(Path.cwd() / data, os.environ.get("HOST") or "127.0.0.1", port)


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "up": lambda arguments: up.up(requested_hub(), arguments),
    "manage": lambda arguments: up.manage(requested_hub(), list(arguments)),
    "demo": lambda arguments: demo.demo(requested_hub()),
    "environments": environments.main,
    "pins": lambda arguments: pins.pin(),
    "services": lambda arguments: services.install(),
    "shape": shape.run,
    "test": suite.run,
    "without": without.run,
}


def main() -> int:
    """Run one command; a Stop is printed, and the exit status is 1."""
    try:
        COMMANDS[sys.argv[1]](sys.argv[2:])
    except Stop as stop:
        complain(str(stop))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
