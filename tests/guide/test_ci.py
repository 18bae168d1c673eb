"""The templates in deploy/ci/ as their runners run them, and the reports that `dovetail check` writes for a CI."""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from dovetail import verdicts
from ops import environments
from tests.adapters import MINILM, lora, with_nan, write
from tests.clients import CLIENTS, once
from tests.guide.pages import blocks
from tests.guide.runners import ACTION, TEMPLATE, github, gitlab
from tests.live import ROOT, TOKENS, Hub

pytestmark = pytest.mark.merge

HOSTILE = "a \x1b[31m name\x00 with | a bar and <b>"


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    """A folder with an adapter that has a NaN."""
    return write(with_nan()(lora(MINILM)), tmp_path / "spoilt")


@pytest.mark.engine
def test_github_publishes_what_passes_and_fails_for_what_does_not(working_hub: Hub, tmp_path: Path, spoilt: Path):
    inputs = {"hub": working_hub.url, "repository": "alice/by-action", "path": str(ROOT / "demo/reviews-lora")}
    done = github(tmp_path, inputs, DOVETAIL_TOKEN=TOKENS["alice"])
    assert done.returncode == 0, done.stdout + done.stderr
    temp = tmp_path / "temp"
    output = dict(line.split("=", 1) for line in (temp / "output").read_text().splitlines())
    assert output["state"] == "passed"
    assert output["url"] == f"{working_hub.url}/alice/by-action/tree/{output['revision']}"
    assert "## alice/by-action: passed" in (temp / "summary.md").read_text()
    suite = ElementTree.parse(temp / "dovetail-junit.xml").getroot()[0]
    assert (suite.get("failures"), int(suite.get("tests")) > 40) == ("0", True)
    second = tmp_path / "second"
    second.mkdir()
    refused = github(second, inputs | {"path": str(spoilt)}, DOVETAIL_TOKEN=TOKENS["alice"])
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "::error title=dovetail::" in refused.stdout
    assert "tensors.not-finite" in refused.stderr
    assert not (second / "temp/output").exists(), "nothing was pushed"
    sarif = json.loads((second / "temp/dovetail.sarif").read_text())
    assert "tensors.not-finite" in {result["ruleId"] for result in sarif["runs"][0]["results"]}


@pytest.mark.engine
def test_gitlab_warns_where_it_is_told_to(working_hub: Hub, tmp_path: Path, spoilt: Path):
    given = {"HF_ENDPOINT": working_hub.url, "DOVETAIL_REPOSITORY": "alice/by-template", "DOVETAIL_PATH": "spoilt"}
    stopped = gitlab(tmp_path, given, DOVETAIL_TOKEN=TOKENS["alice"])
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert 'failures="1"' in (tmp_path / "dovetail-junit.xml").read_text()
    warned = gitlab(tmp_path, given | {"DOVETAIL_ON_FAILURE": "warn"}, DOVETAIL_TOKEN=TOKENS["alice"])
    assert warned.returncode == 0, warned.stdout + warned.stderr
    nobody = gitlab(tmp_path, given | {"DOVETAIL_PATH": str(ROOT / "demo/reviews-lora")})
    assert nobody.returncode == 3, nobody.stdout + nobody.stderr
    assert "neither a token nor an identity token" in nobody.stderr


def test_the_files_are_what_the_ci_systems_take(tmp_path: Path):
    home = CLIENTS / "check-jsonschema"
    pin = (
        ("venv", "--quiet", "--clear", home),
        ("pip", "install", "--quiet", "--python", home / "bin/python", "check-jsonschema==0.39.0"),
    )
    once(home, lambda: [environments.uv(*words) for words in pin])
    job = tmp_path / ".gitlab-ci.yml"
    job.write_text(
        TEMPLATE.read_text()
        + next(one.text for one in blocks("start-ci") if one.word == ".gitlab-ci.yml").split("\n\n", 1)[1]
    )
    workflow = tmp_path / "publish.yml"
    workflow.write_text(next(one.text for one in blocks("start-ci") if one.word == "publish.yml"))
    for schema, file in (("github-actions", ACTION), ("gitlab-ci", job), ("github-workflows", workflow)):
        command = [home / "bin/check-jsonschema", "--builtin-schema", f"vendor.{schema}", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    used = {
        step["with"]["path"]
        for step in yaml.safe_load(workflow.read_text())["jobs"]["publish"]["steps"]
        if "with" in step
    }
    assert used == {"./adapter"}


def test_reports_hold_whatever_a_stranger_called_his_files():
    checks = [
        {"id": "file.size", "outcome": "failed", "message": HOSTILE, "fix": "Rename it.", "where": {"file": "x y.bin"}},
        {"id": "card.task", "outcome": "warned", "message": "None.", "fix": ""},
        {"id": "fit.shape", "outcome": "skipped", "message": HOSTILE, "fix": ""},
    ]
    judged = verdicts.read({"state": "failed", "checks": checks})
    (suite,) = ElementTree.fromstring(verdicts.junit(judged, HOSTILE))
    assert [case.get("name") for case in suite] == ["file.size", "card.task", "fit.shape"]
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "1")
    (run,) = json.loads(verdicts.sarif(judged, "./adapter"))["runs"]
    assert [(one["ruleId"], one["level"]) for one in run["results"]] == [
        ("file.size", "error"),
        ("card.task", "warning"),
    ]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "adapter/x y.bin"
    rows = [line for line in verdicts.markdown(judged, "x").splitlines() if line.startswith("| file")]
    assert len(rows) == 1
    assert "\\| a bar and \\<b\\>" in rows[0]
