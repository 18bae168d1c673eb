"""The alarms and the dashboard ask for numbers that the hub gives, and the runbook explains each alarm."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client
from django.utils import timezone

from features.backups import verbs
from features.buckets.s3_requests import FAILURES, Breaker
from hub.environment import Upstream
from hub.monitoring import gauges, metrics
from registry.kernel import processes
from registry.kernel.errors import StoreUnavailable

FOLDER = Path(settings.ROOT, "deploy", "prometheus")
ALARMS = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
PANELS = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
EXPRESSIONS = [alarm["expr"] for alarm in ALARMS] + [target["expr"] for panel in PANELS for target in panel["targets"]]
SERIES = re.compile(r"\b(?:dovetail|process)_\w+")


@pytest.mark.django_db
def test_each_series_of_an_alarm_or_a_panel_is_one_that_the_hub_gives(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UPSTREAM = settings.UPSTREAM._replace(hubs=(Upstream("https://hub.example"),))
    monkeypatch.setattr(verbs, "last_made_at", timezone.now)  # without a backup there is no number
    gauges.kept_totals.forget()
    Client().get("/livez")
    with Breaker(TimeoutError).call():
        pass
    parts = {"database": {"ok": True}}
    services = gauges.process_exposition([("worker", "a:1", processes.Usage())])
    text = (metrics.exposition() + gauges.machine_exposition(parts) + services + gauges.exposition()).decode()
    given = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)) | set(SERIES.findall(text))
    asked = {name for expression in EXPRESSIONS for name in SERIES.findall(expression)}
    assert asked - given == set()


def test_the_runbook_has_a_section_for_each_alarm_and_for_nothing_else() -> None:
    sections = re.findall(r"^## (Dovetail\w+)$", Path(settings.ROOT, "docs", "runbook.md").read_text(), re.MULTILINE)
    assert sections == [alarm["alert"] for alarm in ALARMS]
    for alarm in ALARMS:
        assert alarm["annotations"]["runbook"] == f"runbook.md#{alarm['alert'].lower()}"
        assert alarm["labels"]["severity"] in {"critical", "warning"}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed; `make services` does that")
def test_prometheus_takes_all_expressions_and_alarms_sound_when_they_should(tmp_path: Path) -> None:
    panels = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(EXPRESSIONS)]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": panels}]}))
    rules = ["check", "rules", "alerts.yml", str(tmp_path / "panels.yml")]
    for arguments in (rules, ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_store_that_does_not_answer_is_counted_as_silent_and_then_as_refused() -> None:
    def count(outcome: str) -> float:
        return metrics._own.get_sample_value("dovetail_store_seconds_count", {"outcome": outcome}) or 0.0

    before = {outcome: count(outcome) for outcome in ("answered", "silent", "refused")}
    breaker = Breaker(TimeoutError)
    with breaker.call():
        pass
    for _ in range(FAILURES):
        with pytest.raises(TimeoutError), breaker.call():
            raise TimeoutError
    with pytest.raises(StoreUnavailable), breaker.call():
        pass
    assert {outcome: count(outcome) - before[outcome] for outcome in before} == {
        "answered": 1, "silent": FAILURES, "refused": 1,
    }  # fmt: skip
