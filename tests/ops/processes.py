"""Queries about processes that the tests did not start and that may end at any moment."""

import time

import psutil

PATIENCE_SECONDS = 120


def command_line(process: psutil.Process) -> list[str]:
    """Return the words of its command line; none for a process that has ended, be it waited for or not yet."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # ZombieProcess is one of these
        return []


def assert_gone(family: list[psutil.Process]) -> None:
    """Fail unless every one of these processes ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := [process for process in family if is_alive(process)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
