"""The units of deploy/systemd: systemd accepts them, they run what docker-compose.yml runs, and may do little."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hub import settings
from hub.about import PORT
from ops.sentences import ROOT
from tests.ops import compose

FOLDER = ROOT / "deploy/systemd"
UNITS = sorted(file.name for file in FOLDER.glob("*.service"))
SERVICES = {"web": "web", "worker": "worker", "clock": "beat"}  # unit → service of docker-compose.yml
FILLED = {"DOVETAIL_SECRET_KEY": "k", "DOVETAIL_PUBLIC_URL": "http://hub", "DOVETAIL_PORT": "80"}
FILLED |= dict.fromkeys(("POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"), "abc")
MOST_EXPOSED = 20  # tenths; systemd calls up to 19 "OK"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="make services installs it")


def read(unit: str) -> dict[str, list[str]]:
    """Return the values of each key of a unit."""
    pairs = re.findall(r"^(\w+)=(.*)$", (FOLDER / unit).read_text(), re.MULTILINE)
    return {key: [value for name, value in pairs if name == key] for key, _ in pairs}


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as this machine can check them: by the checkout's programs and a user that is here."""
    folder = tmp_path_factory.mktemp("units")
    for file in FOLDER.glob("dovetail*"):
        text = file.read_text().replace("/opt/dovetail", str(ROOT))
        (folder / file.name).write_text(re.sub(r"^(User|Group)=.*", r"\1=daemon", text, flags=re.MULTILINE))
    return folder


@needs_systemd
def test_systemd_has_nothing_to_complain_of(units: Path) -> None:
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(units.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True)
    about_ours = [line for line in done.stderr.splitlines() if "dovetail" in line]
    assert (done.returncode, about_ours) == (0, []), done.stderr


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_may_do_little(units: Path, unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(units / unit)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("unit", "service"), SERVICES.items())
def test_a_unit_runs_the_command_of_the_compose_file(unit: str, service: str) -> None:
    [line] = read(f"dovetail-{unit}.service")["ExecStart"]
    [python, *words] = line.replace("%%", "%").split()
    assert python == "/opt/dovetail/.venv/bin/python"
    places = {f"127.0.0.1:{PORT}": "0.0.0.0:8000", "/run/dovetail-clock/beat": "/tmp/beat"}
    assert [places.get(word, word) for word in words] == compose.command(service, FILLED)[1:]


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_has_the_same_user_settings_and_state_as_the_others(unit: str) -> None:
    alike = ("User", "WorkingDirectory", "EnvironmentFile", "StateDirectory", "UMask", "PrivateTmp", "ProtectSystem")
    assert [read(unit)[key] for key in alike] == [read(UNITS[0])[key] for key in alike]
    assert read(unit)["PartOf"] == ["dovetail.target"]


def test_nothing_starts_before_its_tables_are_there() -> None:
    [wanted] = read("dovetail.target")["Wants"]
    assert set(wanted.split()) == {f"dovetail-{unit}.service" for unit in SERVICES}
    for unit in SERVICES:
        assert read(f"dovetail-{unit}.service")["Requires"] == ["dovetail-migrate.service"]
        assert "dovetail-migrate.service" in read(f"dovetail-{unit}.service")["After"][0]
    commands = read("dovetail-migrate.service")["ExecStart"]
    assert [line.split()[2] for line in commands] == ["migrate", "collectstatic"]


def test_workers_reach_nothing_outside_and_finish_what_they_do() -> None:
    worker = read("dovetail-worker.service")
    assert (worker["IPAddressDeny"], worker["IPAddressAllow"]) == (["any"], ["localhost"])
    assert worker["KillMode"] == ["mixed"], "a signal to all processes would end validations"
    assert int(worker["TimeoutStopSec"][0]) > settings.ENGINE_SECONDS


def test_the_file_of_settings_names_settings() -> None:
    lines = [line for line in (FOLDER / "hub.env").read_text().splitlines() if not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)
    assert {name for name in given if name.startswith("DOVETAIL_")} <= settings.env.names
    assert given["DOVETAIL_PRODUCTION"] == "on"
    assert not given["DOVETAIL_SECRET_KEY"]
    assert given["DOVETAIL_DATA"] == f"/var/lib/{read(UNITS[0])['StateDirectory'][0]}"


def test_the_script_for_commands_is_shell() -> None:
    assert subprocess.run(["sh", "-n", FOLDER / "manage"]).returncode == 0
