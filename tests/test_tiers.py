"""Every test is in a tier, and the first tier guards what a defect would cost most."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.live import ROOT

# Files with tests that something else than a plain run of pytest starts.
STARTED_ELSEWHERE = {
    "tests/containers/whole.py": "make containers",
    "tests/registry/on_postgres.py": "tests/workers/test_postgres.py",
    "tests/upgrade/on_postgres.py": "tests/workers/test_postgres.py",
}

LATER = {"merge", "night"}

# What each change is asked, whatever the first tier loses.
GUARDS = {
    "permissions": ["registry/test_policy.py", "registry/test_routes.py", "registry/test_team_policy.py"],
    "holds": ["registry/test_quarantine_roads.py", "registry/test_blob_access.py", "hf/test_blocklist.py"],
    "the jail": ["workers/test_jail.py"],
    "verified": ["hf/test_verified_view.py", "registry/test_held_revisions.py"],
    "push": ["hf/test_push.py", "client/test_push.py", "registry/test_races.py"],
    "the wire": ["hf/test_surface.py", "hf/test_reading.py", "hf/test_refusals.py"],
    "the queue": ["workers/test_queue.py", "workers/test_real_engine.py"],
}


def test_every_file_with_tests_is_in_a_tier():
    listed = subprocess.run(["git", "ls-files", "tests"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    unseen = {
        name
        for name in listed.split()
        if name.endswith(".py") and not Path(name).name.startswith("test_") and any(_tests(ROOT / name))
    }
    assert unseen == STARTED_ELSEWHERE.keys(), "pytest collects files named test_*.py alone"


def test_no_test_is_in_two_tiers(request):
    marks = {item.nodeid: {mark.name for mark in item.iter_markers()} for item in request.session.items}
    both = [test for test, names in marks.items() if names >= LATER]
    assert both == []


def test_each_change_is_asked_what_matters_most():
    for what, files in GUARDS.items():
        for file in files:
            assert any(map(_is_of_each_change, _tests(ROOT / "tests" / file))), (what, file)


def _tests(file: Path) -> Iterator[ast.FunctionDef]:
    """Yield the tests of a file; none where the whole file is of a later tier."""
    body = ast.parse(file.read_text()).body
    assigned = [node for node in body if isinstance(node, ast.Assign)]
    if any(_marks(node.value) & LATER for node in assigned if ast.unparse(node.targets[0]) == "pytestmark"):
        return
    yield from (node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def _is_of_each_change(test: ast.FunctionDef) -> bool:
    return not any(_marks(one) & LATER for one in test.decorator_list if isinstance(one, ast.Attribute))


def _marks(node: ast.expr) -> set[str]:
    """Return what is named after `pytest.mark.` in an expression."""
    return {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute) and ast.unparse(one.value) == "pytest.mark"
    }
