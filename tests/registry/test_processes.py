"""What services use: a family of real processes, limits of a container, rows of workers and clocks, and /metrics."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from hub.monitoring import gauges, health, metrics
from registry.kernel import processes
from registry.models import ProcessReport
from registry.proof.verdicts import sweeps
from workers import clock

MIB = 1 << 20
# A process with a child that holds memory and files and works, and with one that has worked and ended.
FAMILY = """
import os, subprocess, sys, time
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.3: pass"])
if not os.fork():
    held, files = bytearray(b"x") * (64 << 20), [open("/dev/null") for _ in range(100)]
    while time.process_time() < 0.3: pass
    print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def family() -> Iterator[int]:
    """The id of its first process."""
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout
        assert first.stdout.readline() == b"ready\n"
        yield first.pid


def test_a_service_is_its_first_process_and_all_that_descend_from_it_also_those_that_have_ended(family: int) -> None:
    usage = processes.measure(family)
    assert usage
    assert usage.cpu_seconds >= 0.55
    assert usage.resident_memory_bytes > 64 * MIB
    assert 100 < usage.open_fds < 120 <= usage.max_fds
    assert abs(timezone.now().timestamp() - usage.start_time_seconds) < 60
    whole = processes.measure(os.getpid())
    assert whole
    assert whole.resident_memory_bytes > usage.resident_memory_bytes


def test_a_process_that_is_gone_has_no_usage() -> None:
    assert processes.measure((1 << 22) + 1) is None, "more than Linux gives"


def test_of_the_memory_of_a_container_only_what_cannot_be_taken_back_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 600\nactive_file 100\ninactive_file 200\nslab_reclaimable 50\n")
    (tmp_path / "memory.max").write_text("2000\n")
    assert processes._memory() == (650, 2000)
    (tmp_path / "memory.max").write_text("max\n")
    assert processes._memory() == (0, 0)


@pytest.mark.django_db
def test_a_process_has_one_row_until_it_ends() -> None:
    processes.report("worker")
    processes.report("worker")
    [(role, name, usage)] = processes.reported()
    assert (role, name) == ("worker", ProcessReport.objects.get().process)
    assert usage.resident_memory_bytes > 10 * MIB
    processes.forget()
    assert not ProcessReport.objects.exists()


@pytest.mark.parametrize("problem", [OSError("no room"), DatabaseError("away")])
def test_a_report_that_fails_is_logged_and_harms_nobody(
    problem: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(first: int) -> None:
        raise problem

    monkeypatch.setattr(processes, "measure", fail)
    processes.report("worker")
    assert str(problem) in caplog.text


@pytest.mark.django_db
def test_reports_of_the_killed_are_not_shown_and_are_swept_and_those_of_another_release_are_read() -> None:
    ProcessReport.objects.create(process="old:1", role="worker", at=timezone.now() - timedelta(minutes=2))
    ProcessReport.objects.create(process="new:1", role="clock", usage={"open_fds": 7, "of_a_later_release": 1})
    assert [(name, usage.open_fds) for _, name, usage in processes.reported()] == [("new:1", 7)]
    ProcessReport.objects.filter(process="old:1").update(at=timezone.now() - timedelta(days=2))
    sweeps.sweep()
    assert ProcessReport.objects.get().process == "new:1"


@pytest.mark.django_db(transaction=True)  # the clock closes its connection
def test_a_clock_that_stands_by_reports_too(tmp_path: Path) -> None:
    clock.take("another", 60)
    scheduler = clock.ElectedScheduler.__new__(clock.ElectedScheduler)
    scheduler._holder, scheduler._is_leading = "this", False
    scheduler._ask()
    assert [role for role, _, _ in processes.reported()] == ["clock"]


@pytest.mark.django_db
def test_metrics_show_each_service_once_with_its_role(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = processes.Usage(12.5, 100, 1700000000, 30, 1024, 900, 1000)
    ProcessReport.objects.create(process="a:1", role="worker", usage=usage.as_json())
    parts = {"database": {"ok": True}}
    monkeypatch.setattr(health, "_latest", type("Latest", (), {"get": staticmethod(lambda: parts)}))
    lines = Client().get("/metrics").content.decode().splitlines()
    assert {
        'process_cpu_seconds_total{process="a:1",role="worker"} 12.5',
        'process_open_fds{process="a:1",role="worker"} 30.0',
        'dovetail_memory_limit_bytes{process="a:1",role="worker"} 1000.0',
    } <= set(lines)
    assert sum('role="web"' in line and line.startswith("process_resident") for line in lines) == 1
    types = [line for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    parts["database"]["ok"] = False  # the web's own need none
    lines = Client().get("/metrics").content.decode().splitlines()
    assert not any('role="worker"' in line for line in lines)
    assert any('role="web"' in line for line in lines)


@pytest.mark.django_db
def test_requests_are_counted_by_route_and_strange_addresses_by_one() -> None:
    def count(route: str) -> float:
        return metrics._own.get_sample_value("dovetail_route_seconds_count", {"route": route}) or 0

    route = "/api/models/<str:ns>/<str:name>"
    before, unknown = count(route), count("unknown")
    for number in range(3):
        Client().get(f"/api/models/someone/thing-{number}")
        metrics.observe("GET", "other", "", 500, "", 0.1)
    assert count(route) == before + 3
    assert count("unknown") == unknown + 3
    assert metrics._own.get_sample_value("dovetail_route_errors_total", {"route": "unknown"})
    assert b"thing-1" not in gauges.process_exposition([]) + metrics.exposition()
