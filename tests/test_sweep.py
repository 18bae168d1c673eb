"""A sweep asks every row by itself, and names each one that failed."""

import subprocess
import sys
from pathlib import Path

import pytest

from ops.sentences import ROOT
from registry.models import User
from tests.cast import person
from tests.sweep import sweep

SOME_FAIL = """
from pathlib import Path

from tests.sweep import sweep

@sweep("number, word", [(1, "one"), (2, "two"), (3, "three")])
def test_it_is_even(number, word):
    Path(__file__).with_name(word).touch()
    assert number % 2 == 0, word
"""


@sweep("name", ["carla", "carlo"])
def test_what_a_row_leaves_is_gone_before_the_next(db, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    assert not User.objects.exists()
    assert not list(tmp_path.iterdir())
    assert not hasattr(sys.modules[__name__], "patched")
    person(name)
    (tmp_path / name).touch()
    monkeypatch.setattr(sys.modules[__name__], "patched", name, raising=False)


def test_each_row_that_fails_is_named_and_the_others_are_asked(tmp_path: Path):
    file = tmp_path / "test_some.py"
    file.write_text(SOME_FAIL)
    command = [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "-p", "no:cacheprovider", file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "number=1" in done.stdout
    assert "number=3" in done.stdout
    assert "number=2" not in done.stdout
    assert all((tmp_path / word).exists() for word in ("one", "two", "three"))


def test_a_sweep_over_nothing_is_refused():
    with pytest.raises(AssertionError, match="asks nothing"):
        sweep("row", [])
