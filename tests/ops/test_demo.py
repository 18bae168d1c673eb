"""`make demo` as a newcomer types it: with a hub of its own that it leaves running, then with the one that answers."""

import re
import subprocess
from pathlib import Path
from threading import Thread

import psutil
import pytest

from ops.demo import wait_for_start
from ops.hub import Hub
from ops.sentences import ROOT
from ops.up import only_hub_on
from tests.ops.processes import assert_gone
from tests.services import free_ports

pytestmark = [pytest.mark.merge, pytest.mark.slow, pytest.mark.engine]


def demo(data: Path, port: int, *more: str) -> subprocess.CompletedProcess[str]:
    """Run `make demo` with hardly any environment."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(data.parent), "LANG": "C.UTF-8"}
    command = ["make", "demo", f"PORT={port}", f"DATA={data}", *more]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)


def test_the_demo_walks_the_whole_loop_twice(tmp_path: Path) -> None:
    [port] = free_ports()
    first = demo(tmp_path / "data", port, "KEEP=1")
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    kept = psutil.Process(int(re.search(r"to stop it: kill (\d+)", first.stdout)[1]))
    family = [kept, *kept.children(recursive=True)]
    try:
        assert "To sign in" in first.stdout
        assert "→ passed" in first.stdout
        assert re.search(r"passed +load\.error", first.stdout)
        assert len(re.findall(r"adapter +(positive|negative) \(\d+%\)", first.stdout)) == 2
        assert f"Its page: http://127.0.0.1:{port}/demo/reviews-lora" in first.stdout
        second = demo(tmp_path / "data", port)
        assert second.returncode == 0, second.stdout[-3000:] + second.stderr[-3000:]
        assert "A hub answers at" in second.stdout
    finally:
        kept.terminate()
        assert_gone(family)


def test_the_demo_waits_for_a_hub_that_is_being_started(tmp_path: Path, capsys) -> None:
    [port] = free_ports()
    hub = Hub(tmp_path / "data", "127.0.0.1", port)
    waiting = Thread(target=wait_for_start, args=(hub,))
    with only_hub_on(hub):
        waiting.start()
        waiting.join(1.5)
        assert waiting.is_alive()
    waiting.join(60)
    assert not waiting.is_alive()  # it gave up: no hub answers, so the demo starts one itself
    assert "is being started" in capsys.readouterr().out


def test_the_demo_does_not_wait_for_a_hub_on_another_port(tmp_path: Path) -> None:
    ours, theirs = free_ports(2)
    with only_hub_on(Hub(tmp_path / "data", "127.0.0.1", theirs)):
        done = demo(tmp_path / "data", ours)
    assert done.returncode != 0
    assert f"has port {theirs}, not {ours}: give the demo PORT={theirs}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hub_of_somebody_else_needs_a_token(tmp_path: Path, live_hub) -> None:
    port = int(live_hub.url.rpartition(":")[2])
    done = demo(tmp_path / "nothing", port)
    assert done.returncode != 0
    assert "give a write token with TOKEN=" in done.stderr
    assert "Traceback" not in done.stderr
