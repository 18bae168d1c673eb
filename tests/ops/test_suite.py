"""A whole run of tests takes a few failures once more, alone; what fails again stays a failure."""

import os
import sys
from pathlib import Path

import pytest

from ops import suite

ONCE = """
from pathlib import Path

def test_it():
    seen = Path(__file__).with_name("seen")
    first = not seen.exists()
    seen.touch()
    assert not first
"""


@pytest.fixture
def whole(tmp_path: Path, monkeypatch):
    """Return what runs the tests of some text as a whole run does."""
    monkeypatch.setattr(suite, "ROOT", tmp_path)
    monkeypatch.setattr(suite, "WHOLE", ())
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "DJANGO"))}

    def run(text: str) -> tuple[int, suite.Count]:
        (tmp_path / "test_some.py").write_text("def test_other():\n    pass\n" + text)
        return suite.run_whole(Path(sys.executable), {**bare, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})

    return run


def test_what_fails_beside_others_and_passes_alone_has_passed_and_is_named(whole, capfd):
    assert whole(ONCE) == (0, suite.Count(2, 0, 0))
    assert "It passed alone." in capfd.readouterr().out


def test_what_fails_again_has_failed(whole):
    assert whole("def test_bad():\n    assert False\n") == (1, suite.Count(1, 1, 0))


def test_many_failures_are_not_taken_once_more(whole, capfd):
    many = "import pytest\n\n@pytest.mark.parametrize('number', range(4))\ndef test_bad(number):\n    assert False\n"
    assert whole(many) == (1, suite.Count(1, 4, 0))
    assert "once more" not in capfd.readouterr().out
