"""Requirements that a machine may not meet, and the message about each."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ops import environments, machine
from ops.sentences import ROOT, Stop
from tests.sweep import at_merge
from workers.engine.job import ENGINES


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make as a newcomer's shell would: with hardly any environment."""
    bare = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", **environment}
    return subprocess.run(["make", "-s", *arguments], cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60)


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """Return the sentence a failed make said: no traceback, nothing but make's own line beside it."""
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = one_sentence(make("up", f"PORT={port}", f"DATA={tmp_path}/data"))
    assert said == (
        f"Port {port} on 127.0.0.1 is in use by another program: stop that one, or choose another with PORT=N."
    )


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80a", "8.0"])
def test_a_port_that_is_none_is_one_sentence(port: str, tmp_path: Path) -> None:
    assert one_sentence(make("up", f"PORT={port}", f"DATA={tmp_path}/data")).startswith("PORT must be a number")


def test_an_address_of_another_machine_is_one_sentence(tmp_path: Path) -> None:
    said = one_sentence(make("up", "HOST=192.0.2.1", f"DATA={tmp_path}/data"))
    assert said.startswith("192.0.2.1 is not an address of this machine")


def test_a_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    machine.require_writable(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_data_folder_of_an_earlier_hub_is_closed_to_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o755)
    machine.require_writable(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755, "it may be anybody's"
    (tmp_path / "secret_key").touch()
    machine.require_writable(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o750
    assert str(tmp_path) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BLOBS", "s3", "DOVETAIL_BLOBS must be file://DIR or s3://bucket?endpoint=URL, not 's3'."),
        ("DATABASE_URL", "sqlite:////proc/none/db", "The database failed: unable to open database"),
    ],
)
@pytest.mark.parametrize("program", [("-m", "ops.prepare"), *at_merge((("manage.py", "shelf", "list"),))])
def test_a_store_that_cannot_be_is_one_sentence(
    program: tuple[str, ...], name: str, value: str, said: str, tmp_path: Path
) -> None:
    settings = {"DOVETAIL_DATA": str(tmp_path), "DOVETAIL_SECRET_KEY": "k" * 60, f"DOVETAIL_{name}": value}
    done = subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        env=os.environ | settings,
        input="",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(said)


@pytest.mark.parametrize("folder", ["/proc/dovetail", "/dev/null/data", "/sys/dovetail"])
def test_a_data_folder_that_cannot_be_written_is_one_sentence(folder: str) -> None:
    said = one_sentence(make("up", f"DATA={folder}"))
    assert said.startswith(f"The data folder {folder} cannot be written (")
    assert said.endswith("choose another with DATA=DIR.")


def test_a_missing_interpreter_is_one_sentence(tmp_path: Path) -> None:
    for program in ("make", "sh", "echo"):
        found = shutil.which(program)
        assert found
        (tmp_path / program).symlink_to(found)
    said = one_sentence(make("up", PATH=str(tmp_path)))
    assert said == ("Dovetail needs Python 3.11 or newer, and none was found: install python3.11 and python3.11-venv.")


def test_an_old_interpreter_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(Stop, match=r"needs Python 3\.11 or newer"):
        machine.require_interpreter()


def test_a_missing_venv_module_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.machine.importlib.util.find_spec", lambda name: None)
    with pytest.raises(Stop, match=r"install the package python3\.\d+-venv"):
        machine.require_interpreter()


def test_too_little_disk_is_one_sentence_with_both_numbers(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(
        Stop, match=r"Building the hub needs [\d.e+]+ GB of disk, and .* has [\d.e+]+ GB free: make room"
    ):
        machine.require_space(tmp_path, free * 2, "Building the hub")


def test_every_make_target_is_listed_by_help() -> None:
    listed = make("help").stdout
    for target in ("up", "demo", "manage", "test", "lint", "bench", "services", "help"):
        assert f"make {target} " in listed


def test_an_environment_that_is_up_to_date_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    environments.ensure_dev()
    monkeypatch.setattr(environments, "_build", lambda *_: pytest.fail("something was installed"))
    assert environments.ensure_dev() == environments.ensure_web() == environments.PYTHON


def test_the_environment_of_vllm_is_complete_with_the_releases_that_it_pins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environments, "_starts", lambda _: True)
    pins = re.findall(r"^\S+==\S+", (ROOT / environments.VLLM).read_text(), re.MULTILINE)
    packages = tmp_path / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    torch = environments.torch_pins(environments.VLLM)
    assert [pin.partition("==")[0] for pin in torch] == ["torch", "torchvision"]
    for pin in pins:
        assert not environments._is_complete(tmp_path, environments.VLLM, torch)
        (packages / f"{pin.replace('-', '_').replace('==', '-')}+cpu.dist-info").mkdir(parents=True)
    assert environments._is_complete(tmp_path, environments.VLLM, torch)


def test_what_a_build_prints_is_shown_only_where_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    script = "import sys; print('resolved 117 packages', flush=True); sys.exit(sys.argv[1])"
    environments._require_success([sys.executable, "-c", script.replace("sys.argv[1]", "0")], "Building")
    assert capfd.readouterr() == ("", "")
    with pytest.raises(Stop, match="Building failed; the lines above say why"):
        environments._require_success([sys.executable, "-c", script, "no network"], "Building")
    assert capfd.readouterr() == ("resolved 117 packages\nno network\n", "")


def test_an_engine_is_built_for_every_file_of_requirements_the_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(environments, "ensure_engine", built.append)
    environments.ensure_engines()
    assert built == ["e5", "e4"] == list(ENGINES), "and the list of what they run names the same"


def test_every_release_of_the_hub_and_of_each_engine_is_locked() -> None:
    for requirements in [ROOT / "requirements.txt", *ROOT.glob("requirements/engine-*.txt")]:
        if requirements.stem == "engine-common":  # a part of others
            continue
        [lock] = re.findall(r"^-c (\S+)$", requirements.read_text(), re.MULTILINE)
        locked = (requirements.parent / lock).read_text()
        direct = re.findall(r"^([\w-]+)(?:\[[\w,]+\])?==(\S+)", requirements.read_text(), re.MULTILINE)
        assert direct
        for name, release in direct:
            if name in ("torch", "torchvision"):  # whose builds differ, so that the installing step chooses them
                continue
            line = rf"^{re.escape(name.lower().replace('_', '-'))}=={re.escape(release.rstrip(';'))}(?: .*)?$"
            assert re.search(line, locked, re.MULTILINE), f"{name}: run `make pins`"


def test_uv_trusts_what_the_system_trusts_and_one_function_alone_runs_it() -> None:
    assert environments.uv_environment()["UV_SYSTEM_CERTS"] == os.environ.get("UV_SYSTEM_CERTS", "1")
    users = [
        str(file.relative_to(ROOT))
        for folder in ("ops", "tests", "bench", "demo")
        for file in (ROOT / folder).rglob("*.py")
        if re.search(r"""["'/]uv["']""", file.read_text())
    ]
    assert users == ["ops/environments.py"]


def test_torch_comes_from_the_index_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_INDEX", "https://mirror.example/cpu")
    options = environments.torch_options(environments.PYTHON, ["torch==2.13.0"])
    assert options == ["--default-index", "https://mirror.example/cpu"]


@pytest.mark.engine
def test_the_engines_share_one_copy_of_torch() -> None:
    for name in ENGINES:
        environments.ensure_engine(name)
    inside = "lib/python3*/site-packages/torch/lib/libtorch_cpu.so"
    libraries = [file for name in ENGINES for file in (ROOT / ".engines" / name).glob(inside)]
    assert len(libraries) == len(ENGINES)
    assert len({file.stat().st_ino for file in libraries}) == 1


@pytest.mark.merge
@pytest.mark.engine
@pytest.mark.skipif(
    os.environ.get("CI") != "true" and not (ROOT / ".engines/e5").exists(), reason="engine e5 is not built"
)
def test_the_engine_holds_a_torch_that_starts() -> None:
    python = ROOT / ".engines/e5/bin/python"
    code = "import torch, transformers, peft; print(torch.__version__, transformers.__version__, peft.__version__)"
    assert subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()[1:] == [
        "5.24.0",
        "0.21.2",
    ]
