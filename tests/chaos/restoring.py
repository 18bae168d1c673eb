"""A backup that is made during pushes, restored into an empty hub, which is asked for every write before it."""

import subprocess
from collections import Counter
from pathlib import Path

import httpx2 as httpx
import psycopg
from huggingface_hub import hf_hub_download

from ops.sentences import ROOT
from tests.chaos import ledger
from tests.chaos.load import TOKEN, Load
from tests.ops.production import Deployment
from tests.services import answers, free_ports, running

BACKUP = "s3://dovetail-backup?endpoint=http://s3:8333"
BUCKET = "dovetail-restored"


def restored(load: Load) -> Counter[str]:
    """Back up, restore and compare; return what is missing or differs, by reason."""
    deployment = load.deployment
    before = load.ledger.acknowledged()
    folder = deployment.folder / "backup"
    blobs = deployment.here(BACKUP)
    deployment.manage("backup", str(folder), "--blobs", blobs)
    [port] = free_ports()
    environment = _empty_hub(deployment, port)
    command = [*deployment.command("manage")[:2], "restore", str(folder), "--blobs", blobs]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        return Counter([f"restore: {(done.stdout + done.stderr).strip()[-150:]}"])
    serve = [str(ROOT / ".venv/bin/python"), "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py"]
    serve = [str(ROOT / word) if word.startswith("deploy/") else word for word in serve]
    home = deployment.folder / "restored"
    home.mkdir(exist_ok=True)
    given = environment | {"PYTHONPATH": str(ROOT), "DOVETAIL_WEB_PROCESSES": "1"}
    with running([*serve, "-b", f"127.0.0.1:{port}"], home, lambda: answers(port), patience=30, env=given):
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client:
            problems = ledger.lost(client, before)
        load.done["restored"] += len(before)
        return problems + _by_xet(url, before, home)


def _by_xet(url: str, writes: list[ledger.Write], folder: Path) -> Counter[str]:
    """Pull the large files by the stock client, which goes by Xet where the hub offers it."""
    problems: Counter[str] = Counter()
    for write in [one for one in writes if one.path.endswith(".bin")][-5:]:
        file = hf_hub_download(
            write.repository, write.path, repo_type="dataset", revision=write.revision, endpoint=url, token=TOKEN,
            local_dir=folder / "pulled", force_download=True,
        )  # fmt: skip
        if ledger.digest(Path(file).read_bytes()) != write.sha256:
            problems[f"restored {write.path} has other bytes by Xet"] += 1
    return problems


def _empty_hub(deployment: Deployment, port: int) -> dict[str, str]:
    """Make an empty database, and return the environment of a hub on it and on an empty bucket."""
    given = deployment.environment("manage")
    database = given["DOVETAIL_DATABASE_URL"]
    server, _, _ = database.rpartition("/")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS restored")
        connection.execute("CREATE DATABASE restored")
    url = f"http://127.0.0.1:{port}"
    blobs = deployment.here(f"s3://{BUCKET}?endpoint=http://s3:8333&seconds=60")
    return given | {"DOVETAIL_DATABASE_URL": f"{server}/restored", "DOVETAIL_BLOBS": blobs, "DOVETAIL_PUBLIC_URL": url}
