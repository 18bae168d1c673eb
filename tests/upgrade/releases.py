"""The release before this one and the one after it, as code that hub processes run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub.about import COMMIT_THERE, SERVES_FROM, VERSION
from ops import environments
from tests.live import BIN, ROOT, Hub
from tests.services import answers, running

IS_FIRST = SERVES_FROM == VERSION  # then code of today is the older one, and the next release is made up


@dataclass(frozen=True)
class Release:
    """Code of one release: its folder, the module of its settings, and the programs of its environment."""

    folder: Path
    settings: str = "hub.settings"
    programs: Path = BIN

    def environment(self, hub: Hub) -> dict[str, str]:
        paths = os.pathsep.join([str(self.folder), str(self.folder / "client/src")])
        static = {"DOVETAIL_STATIC_ROOT": str(hub.data / "run" / f"static-{self.folder.name}")}
        return {**hub.environment, **static, "DJANGO_SETTINGS_MODULE": self.settings, "PYTHONPATH": paths}

    def manage(self, hub: Hub, *arguments: str) -> subprocess.CompletedProcess:
        """Run a management command of this release on a hub's state."""
        return subprocess.run(
            [self.programs / "python", "manage.py", *arguments],
            cwd=self.folder,
            env=self.environment(hub),
            capture_output=True,
            text=True,
        )

    @contextmanager
    def serving(self, hub: Hub, port: int, name: str, *options: str) -> Iterator[subprocess.Popen]:
        """Run gunicorn with this code on a hub's state; end it with the block, if it has not ended."""
        folder = hub.data / "run" / name
        folder.mkdir()
        assert self.manage(hub, "collectstatic", "--noinput", "--verbosity", "0").returncode == 0
        configuration = str(self.folder / "deploy/gunicorn.conf.py")
        command = [str(self.programs / "gunicorn"), "-c", configuration, "--chdir", str(self.folder)]
        command += ["-b", f"127.0.0.1:{port}", *options]
        environment = self.environment(hub)
        with running(command, folder, lambda: answers(port), patience=60, env=environment) as process:
            yield process


def older(folder: Path, commit: str = COMMIT_THERE) -> Release:
    """Return the release before this one, or of a commit; a checkout without it cannot, and CI's has it."""
    if IS_FIRST:
        return Release(ROOT)
    archive = folder / "release.tar"
    command = ["git", "archive", "--output", archive, commit]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        reason = f"this checkout has no commit {commit}: `git fetch --unshallow`"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    release = folder / "release"
    shutil.unpack_archive(archive, release)  # ours; tarfile has filters since 3.11.4 alone, Debian 3.11.2
    return Release(release, programs=_environment(release) / "bin")


def _environment(release: Path) -> Path:
    """Build an environment of what this release pins; PYTHONPATH has its client."""
    lines = (release / "requirements.txt").read_text().splitlines(keepends=True)
    (release / "packages.txt").write_text("".join(line for line in lines if not line.startswith("-e")))
    environments.uv("venv", "--quiet", "--python", sys.executable, release / ".venv")
    environments.uv("pip", "install", "--quiet", "--python", release / ".venv", "-r", release / "packages.txt")
    return release / ".venv"


def newer() -> Release:
    """Return the release whose tables are the newer ones."""
    return Release(ROOT, "tests.upgrade.next_release.settings") if IS_FIRST else Release(ROOT)
