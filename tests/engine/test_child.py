"""Outcomes of a check that raises: memory and loader errors are the adapter's fault, all others the hub's."""

import pytest

from dovetail.adapters.results.findings import Check
from workers.engine.processes import child

NO_MEMORY = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 17179869184")


def report(name, problem):
    def ask(_):
        raise problem

    said = []
    checks = [Check("file.missing", lambda _: "Well."), Check(name, ask), Check("card.base", lambda _: "Never asked.")]
    assert child._report(checks, None, said.append) is False
    assert said[0]["check"]["id"] == "file.missing"
    assert len(said) == 2
    return said[1]["check"]


@pytest.mark.parametrize(
    ("name", "problem", "expected"),
    [
        ("file.header", MemoryError(), "limits.memory"),
        ("load.error", NO_MEMORY, "limits.memory"),
        ("load.error", RuntimeError("size mismatch for x"), "load.error"),
        ("load.error", KeyError("y"), "load.error"),
        ("file.header", KeyError("y"), "engine.check-crashed"),
        ("run.not-finite", RuntimeError("boom"), "engine.check-crashed"),
    ],
)
def test_a_check_that_raises_ends_the_stage_and_says_whose_fault_it_is(name, problem, expected):
    found = report(name, problem)
    assert (found["id"], found["outcome"]) == (expected, "failed")
    assert found["fix"]


def test_what_a_check_raises_is_told_but_not_at_any_length():
    assert len(report("file.header", ValueError("x" * 10_000))["message"]) < 1000
