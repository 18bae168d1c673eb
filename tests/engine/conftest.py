"""The engine under test: its own interpreter, as the workers start it, spoken to through its pipe."""

import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests import once

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".engines" / "e5" / "bin" / "python"
MAIN = ROOT / "workers" / "engine" / "__main__.py"
collect_ignore = [] if Path("/dev/nvidiactl").exists() else ["test_cuda.py"]  # there is nothing to prove elsewhere


class Engine:
    """A running engine process; `validate` gives one verdict."""

    def __init__(self, cwd, *arguments, python=PYTHON, main=MAIN):
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "TMPDIR": str(cwd), "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            [str(python), "-I", str(main), "workers.engine.processes.serve", *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd, env=environment, text=True,
        )  # fmt: skip
        self.ready = self._hear()
        self.jobs = 0
        self.streamed = []

    def validate(self, folder, card=None, **job):
        self.streamed = []
        self._send(folder, card, **job)
        while (heard := self._hear())["event"] != "verdict":
            assert heard["job"] == str(self.jobs)
            self.streamed.append(heard["check"])
        assert heard["job"] == str(self.jobs)
        return heard["verdict"]

    def _send(self, folder, card, **job):
        self.jobs += 1
        said = {"id": str(self.jobs), "folder": str(folder), "card": card or {}, **job}
        self.process.stdin.write(json.dumps({"job": said}) + "\n")
        self.process.stdin.flush()

    def _hear(self):
        line = self.process.stdout.readline()
        assert line, f"the engine ended with {self.process.wait()}"
        return json.loads(line)

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=120) == 0
        self.process.stdout.close()


# Runs each program that comes as a line in a process of its own, and says how it ended. What most of them import takes
# five seconds: it is imported once.
FORKS = f"""
import json, os, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "client" / "src")!r}]
import workers.engine.checks
for line in sys.stdin:
    program, printed = json.loads(line)
    if not (child := os.fork()):
        os.dup2(os.open(printed, os.O_WRONLY), 1)
        exec(program, {{"__name__": "__main__"}})
        sys.stdout.flush()
        os._exit(0)  # to take down all that was imported would take a second
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@cache
def _forks():
    return subprocess.Popen([PYTHON, "-I", "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture(autouse=True, scope="session")
def _forks_end():
    yield
    if _forks.cache_info().currsize:
        with _forks() as forks:
            forks.stdin.close()


def in_an_engine(program):
    """Run a program with the engine's interpreter and its path, and return the words that it prints."""
    forks = _forks()
    with tempfile.NamedTemporaryFile("r") as printed:
        forks.stdin.write(json.dumps([program, printed.name]) + "\n")
        forks.stdin.flush()
        assert forks.stdout.readline() == "0\n", "its traceback is in what this test wrote to stderr"
        return printed.read().split()


def python_of(name):
    """The interpreter of an engine; a test that needs one that is not built is skipped, but never under CI."""
    python = ROOT / ".engines" / name / "bin" / "python"
    if not python.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{python} is missing: run `make engines`")
        pytest.skip(f"{python} is missing: run `make engines`")
    return python


@pytest.fixture(scope="session")
def engine_python():
    return python_of("e5")


@pytest.fixture(scope="session")
def bases(engine_python, tmp_path_factory):
    """A folder with the tiny bases, `bert`, `llama` and `t5`."""
    return shutil.copytree(once.tiny_bases(engine_python), tmp_path_factory.mktemp("bases"), dirs_exist_ok=True)


@pytest.fixture(scope="session")
def trained(bases):
    """A folder with a trained adapter of the adapters library of each method; in `pickled` the same as pickles."""
    return once.trained(python_of("e4"), bases)


@pytest.fixture(scope="session")
def bert(bases, tmp_path_factory):
    engine = Engine(tmp_path_factory.mktemp("bert"), "--base", bases / "bert", "--base-id", "tiny/bert")
    yield engine
    engine.stop()


# What holds of PEFT adapters holds on both engines; adapters that e4 alone runs ask it at each change.
EVERY = ["e5", pytest.param("e4", marks=pytest.mark.merge)]


@pytest.fixture(scope="session", params=EVERY)
def every_bert(request):
    """The tiny BERT on each engine in turn."""
    return request.getfixturevalue({"e5": "bert", "e4": "bert4"}[request.param])


@pytest.fixture(scope="session", params=EVERY)
def every_llama(request):
    return request.getfixturevalue({"e5": "llama", "e4": "llama4"}[request.param])


@pytest.fixture(scope="session")
def bert4(bases, tmp_path_factory):
    engine = _on_e4(bases, "bert", tmp_path_factory)
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def llama4(bases, tmp_path_factory):
    engine = _on_e4(bases, "llama", tmp_path_factory)
    yield engine
    engine.stop()


def _on_e4(bases, name, tmp_path_factory):
    base = ("--base", bases / name, "--base-id", f"tiny/{name}")
    return Engine(tmp_path_factory.mktemp(f"{name}4"), *base, python=python_of("e4"))


@pytest.fixture(scope="session")
def llama(bases, tmp_path_factory):
    engine = Engine(tmp_path_factory.mktemp("llama"), "--base", bases / "llama", "--base-id", "tiny/llama")
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def t5(bases, tmp_path_factory):
    engine = Engine(tmp_path_factory.mktemp("t5"), "--base", bases / "t5", "--base-id", "tiny/t5")
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def without_base(engine_python, tmp_path_factory):
    engine = Engine(tmp_path_factory.mktemp("files"))
    yield engine
    engine.stop()
