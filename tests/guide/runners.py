"""Stands in for the runners of GitHub and GitLab, as far as the templates in deploy/ci/ need it."""

import re
import subprocess
from pathlib import Path

import yaml

from ops import environments
from tests.live import ROOT

ACTION = ROOT / "deploy/ci/github/action.yml"
TEMPLATE = ROOT / "deploy/ci/gitlab/dovetail.yml"
# Stands in for the runner's Python: the environment is made by uv from its cache, which takes a tenth of the time.
PYTHON = """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
{uv} venv --quiet --allow-existing --python {python} "$3"
printf '#!/bin/sh\\nexec {uv} pip "$@" --python %s\\n' "$PWD/$3/bin/python" | sed "s,$PWD//,/," > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""


def github(folder: Path, inputs: dict[str, str], **runner: str) -> subprocess.CompletedProcess[str]:
    """Run the steps of the action; outputs, summary and reports are below folder/temp."""
    action = yaml.safe_load(ACTION.read_text())
    known = {name: str(about.get("default", "")) for name, about in action["inputs"].items()} | inputs
    missing = [name for name, about in action["inputs"].items() if about.get("required") and not known[name]]
    assert not missing
    temp = folder / "temp"
    temp.mkdir()
    runner |= {
        "GITHUB_ACTIONS": "true",
        "RUNNER_TEMP": str(temp),
        "GITHUB_SHA": "a" * 40,
        "GITHUB_REPOSITORY": "acme/train",
    }
    runner |= {"GITHUB_OUTPUT": str(temp / "output"), "GITHUB_STEP_SUMMARY": str(temp / "summary.md")}
    (step,) = action["runs"]["steps"]
    given = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: known[found[1]], value)
        for name, value in step["env"].items()
    }
    assert "${{" not in step["run"], "an input in the script could hold commands"
    return _bash(folder, step["run"], runner | given)


def gitlab(folder: Path, variables: dict[str, str], **runner: str) -> subprocess.CompletedProcess[str]:
    """Run the script of the template's job."""
    job = yaml.safe_load(TEMPLATE.read_text())[".dovetail-publish"]
    runner |= {"GITLAB_CI": "true", "CI_COMMIT_SHA": "b" * 40, "CI_PROJECT_PATH": "acme/train"}
    return _bash(folder, "\n".join(job["script"]), runner | job["variables"] | variables)


def _bash(folder: Path, script: str, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    assert environments.ensure_wheel(), "the hub serves it"
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    python3 = programs / "python3"
    python3.write_text(PYTHON.format(python=environments.PYTHON, uv=environments.UV))
    python3.chmod(0o755)
    ours = ("HF_", "DOVETAIL_", "DJANGO_", "GITHUB_", "CI_", "PYTHONPATH")
    kept = {name: value for name, value in environments.uv_environment().items() if not name.startswith(ours)}
    kept |= {"PATH": f"{programs}:{kept['PATH']}", "HOME": str(folder)}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder, env=kept | given, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
