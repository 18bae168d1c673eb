"""`make test` runs the first tier; what is named runs whatever its tier."""

import os
import sys
from pathlib import Path

import pytest

from ops import suite
from ops.sentences import Stop

ONE_OF_EACH = """
import pytest

def test_for_each_change():
    pass

@pytest.mark.merge
def test_for_each_merge():
    pass

@pytest.mark.night
def test_for_each_night():
    pass
"""


def test_each_tier_holds_the_one_before(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    (tmp_path / "test_some.py").write_text(ONE_OF_EACH)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "DJANGO"))}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    counts = {}
    for tier, marks in suite.TIERS.items():
        code, counts[tier] = suite.run_once(Path(sys.executable), ["-m", marks], environment)
        assert code == 0
    assert counts == {
        "change": suite.Count(1, 0, 0),
        "merge": suite.Count(2, 0, 0),
        "night": suite.Count(3, 0, 0),
    }


def test_a_run_that_names_nothing_is_of_the_first_tier(monkeypatch):
    monkeypatch.delenv("TIER", raising=False)
    assert suite.marks([]) == suite.TIERS["change"]
    assert suite.marks(["tests/kubernetes"]) == ""
    monkeypatch.setenv("TIER", "merge")
    assert suite.marks([]) == suite.marks(["tests/kubernetes"]) == suite.TIERS["merge"]


def test_a_tier_that_is_none_is_refused_before_anything_is_built(monkeypatch):
    monkeypatch.setenv("TIER", "nightly")
    with pytest.raises(Stop, match=r"There is no tier 'nightly'. Fix: TIER=change, TIER=merge or TIER=night."):
        suite.run([])
