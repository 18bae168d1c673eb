"""Each check has its heading in the documentation, in the order in which it is asked."""

import ast
import re
from pathlib import Path

from dovetail.adapters.checks import CHECKS
from dovetail.adapters.families import IDS
from workers.engine.job import CRASHED
from workers.engine.validation import ALWAYS, ROWS, RUN_IDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "checks.md").read_text()


def headings():
    return re.findall(r"^### `([a-z.-]+)`$", PAGE, re.MULTILINE)


def test_every_check_has_its_heading_and_no_heading_outlives_its_check():
    stages = [check.id for check in CHECKS] + list(RUN_IDS) + ["limits.time", *ALWAYS]
    assert len(set(stages)) == len(stages), "no id is asked in two stages"
    assert sorted(headings()) == sorted({*stages, *IDS}), "those of every format among them"
    assert CRASHED in ALWAYS


def test_what_the_parent_believes_of_the_second_stage_is_what_the_stage_asks():
    source = (ROOT / "workers" / "engine" / "checks" / "__init__.py").read_text()
    asked = [
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Check"
    ]
    assert [name for name in RUN_IDS if name != ROWS] == asked, "in that order"


def test_checks_are_described_in_the_order_in_which_they_are_asked():
    asked = [check.id for check in CHECKS]
    assert [name for name in headings() if name in asked] == asked


def test_every_heading_says_how_to_fix_it():
    parts = re.split(r"^### `", PAGE, flags=re.MULTILINE)[1:]
    assert [part.split("`")[0] for part in parts if "**Fix:**" not in part] == [CRASHED]
