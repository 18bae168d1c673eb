"""The page on trackers of experiments: its script, with MLflow's files and Weights & Biases offline."""

import json
import shutil
from pathlib import Path

import pytest

from ops import environments
from tests.clients import CLIENTS, once
from tests.guide.pages import Walker
from tests.live import ROOT, TOKENS, Hub

pytestmark = [pytest.mark.merge, pytest.mark.engine]
LIBRARIES = ("huggingface_hub==2.4.0", "numpy==2.4.6", "safetensors==0.8.0")  # what the client needs here
ASK = """
import json, mlflow
run = mlflow.MlflowClient().search_runs(["0"])[0]
version = mlflow.MlflowClient().get_model_version("reviews", "1")
print(json.dumps({"tags": dict(run.data.tags), "metrics": run.data.metrics, "source": version.source}))
"""


def interpreters() -> Path:
    """Return the programs of an environment with both trackers, which is built once."""
    home = CLIENTS / "tracking"

    def install() -> None:
        environments.uv("venv", "--quiet", "--clear", home)
        into = ["--quiet", "--python", home / "bin/python", "-r", ROOT / "requirements/tracking.txt"]
        environments.uv("pip", "install", *into, *LIBRARIES)

    once(home, install)
    return home / "bin"


def test_a_run_has_the_version_its_verdict_and_what_was_measured(working_hub: Hub, tmp_path: Path):
    quiet = {
        "MLFLOW_TRACKING_URI": (tmp_path / "mlruns").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "WANDB_SILENT": "true",
    }
    alice = Walker(tmp_path / "alice", interpreters(), working_hub.url, TOKENS["alice"], quiet)
    shutil.copytree(ROOT / "demo/reviews-lora", alice.folder / "reviews-lora")
    alice.walk("start-tracking")
    logged = json.loads(alice.run(f"python -c '{ASK}'").splitlines()[-1])
    tags = {name: value for name, value in logged["tags"].items() if name.startswith("dovetail.")}
    commit = tags["dovetail.revision"]
    assert logged["source"] == tags["dovetail.url"] == f"{working_hub.url}/alice/tracked/tree/{commit}"
    assert tags["dovetail.verdict"] == "passed"
    assert tags["dovetail.base"] == "sentence-transformers/all-MiniLM-L6-v2"
    measured = logged["metrics"]
    assert measured["dovetail.smoke.accuracy.adapter"] > measured["dovetail.smoke.accuracy.base"] >= 0
    (summary,) = alice.folder.glob("wandb/offline-run-*/*.wandb")
    stored = summary.read_bytes()
    assert commit.encode() in stored
    assert b"dovetail/smoke.accuracy.adapter" in stored
