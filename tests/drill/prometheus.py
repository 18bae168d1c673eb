"""A real Prometheus that reads a deployment as docs/runbook.md says, with the shipped alarms in a shorter time."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ops.sentences import ROOT
from tests.services import answers, free_ports, running

FACTOR = 20  # by which each `for:` and each window of a rate is shorter
SCRAPE_SECONDS = 4  # longer than /metrics waits for a part that hangs, and three times in the shortest window
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
_UNITS = {"s": 1, "m": 60, "h": 3600}


def alarms() -> dict[str, dict[str, Any]]:
    """Return the shipped alarms by name, in their order."""
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def scaled(rules: str) -> str:
    """Return the text of alarms with each `for:` and each window of a rate divided by FACTOR."""

    def shorter(match: re.Match[str]) -> str:
        milliseconds = int(match["number"]) * _UNITS[match["unit"]] * 1000 // FACTOR
        return f"{match['before']}{milliseconds}ms{match['after']}"

    window = r"(?P<before>\[)(?P<number>\d+)(?P<unit>[smh])(?P<after>\])"
    patience = r"(?P<before>\n +for: )(?P<number>\d+)(?P<unit>[smh])(?P<after>\n)"
    for pattern in (window, patience):
        rules = re.sub(pattern, shorter, rules)
    return rules


def configuration(folder: Path, targets: list[str], token: str) -> dict[str, Any]:
    """Return the configuration of the runbook, with the addresses and the token of this deployment."""
    [block] = re.findall(r"```yaml\n# prometheus.yml\n(.*?)```", RUNBOOK.read_text(), re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(block)
    found["global"] = {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "1s"}
    found["rule_files"] = [str(folder / name) for name in found["rule_files"]]
    [job] = found["scrape_configs"]
    job |= {"scheme": "http", "authorization": {"credentials": token}, "static_configs": [{"targets": targets}]}
    return found


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def states(self) -> Mapping[str, str]:
        """Return the alarms that are pending or firing, with that word; the later one where an alarm has both."""
        with urllib.request.urlopen(f"{self.url}/api/v1/alerts", timeout=10) as response:
            alerts = json.load(response)["data"]["alerts"]
        pairs = sorted((alert["state"] == "firing", alert["labels"]["alertname"], alert["state"]) for alert in alerts)
        return {name: state for _, name, state in pairs}


@contextmanager
def run_prometheus(folder: Path, targets: list[str], token: str) -> Iterator[Prometheus]:
    """Run Prometheus in this folder, which must exist; yield once it answers."""
    (folder / "alerts.yml").write_text(scaled(RULES.read_text()))
    (folder / "prometheus.yml").write_text(json.dumps(configuration(folder, targets, token)))
    [port] = free_ports()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    url = f"http://127.0.0.1:{port}"
    with running(command, folder, lambda: answers(port) and _is_ready(url)):
        yield Prometheus(url)


def _is_ready(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/-/ready", timeout=10).status == 200
    except urllib.error.HTTPError:  # 503 while it starts
        return False
