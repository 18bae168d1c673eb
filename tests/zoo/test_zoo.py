"""A part of the zoo that is quick to make: strangers' adapters pass, and each spoilt one is refused by its own check.

The whole zoo, on every base and both engines, is `make bench ARGS=zoo`.
"""

from dataclasses import replace

import pytest

from tests.engine.conftest import python_of
from tests.zoo import building, changes, outsiders, saboteurs, specimen, table, wild

# One adapter of each source that outsiders and saboteurs change, and some of methods and bases that differ much.
QUICK = (
    "bert-seq-cls", "bert-dora", "bert-rslora", "bert-ia3", "bert-rank-pattern-regex", "llama-seven", "llama-causal",
    "llama-grown", "llama-tokens", "prompt-llama-causal-lm", "prefix-llama-causal-lm", "p-tuning-lstm",
)  # fmt: skip
BASES = ("bert", "llama")
ENGINES = ("e5",)
STEP = 8  # every eighth of those that are changed, on one engine: all of them on both are for the benchmark


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """The folder of a small zoo: two bases and some adapters of PEFT on transformers 5."""
    python_of("e5"), python_of("e4")
    folder = tmp_path_factory.mktemp("zoo")
    building.bases(folder, BASES)
    building.made(folder, "make_peft.py", "e5", "peft5", QUICK)
    return folder


def sample(quick):
    """Every fifth repository of the wild zoo of those that need no source which the small zoo has not."""
    made = {f"peft5/{one.name}" for one in specimen.read(quick / "peft5")} | {""}
    return [row for row in wild.every() if row.source in made and (row.base or "bert") in BASES][::5]


@pytest.mark.merge
def test_adapters_as_strangers_make_them_are_told_what_they_are(quick):
    specimens = specimen.read(quick / "peft5")
    assert len(specimens) == len(QUICK)
    outside = [one for one in building.changed(quick, quick / "peft5") if one.base in BASES]
    of_tools = building.as_tools_leave_them(quick, sample(quick))
    assert len(of_tools) >= 25
    chosen = [replace(one, engines=ENGINES) for one in specimens + outside[::STEP] + of_tools]
    found = list(table.answers(chosen, quick / "bases"))
    assert table.errors(found) == [], table.table(found)


@pytest.mark.merge
def test_the_zoo_holds_what_was_promised_of_it(quick):
    kinds = {check for _, _, check, _ in saboteurs.every(quick / "bases")}
    assert len(saboteurs.every(quick / "bases")) >= 80
    assert len(outsiders.every(quick / "bases")) >= 60
    assert len(kinds) >= 20
    rows = wild.every()
    assert len(rows) >= 250
    assert sum(bool(row.expected) for row in rows) >= 80
    assert len({row.name for row in rows}) == len(rows)


def test_a_wrong_answer_is_counted_as_what_it_is(tmp_path):
    one = specimen.Specimen("x", "bert", tmp_path, {"e4": "fit.shape"})

    def said(engine, state, *failed):
        return table.Answer(one, engine, state, failed, "run", "", 1.0)

    assert said("e5", "passed").error == ""
    assert said("e5", "failed", "fit.shape").error == "false fail"
    assert said("e4", "failed", "fit.shape").error == ""
    assert said("e4", "passed").error == "false pass"
    assert said("e4", "failed", "fit.shape", "fit.missing").error == "wrong reason"
    assert said("e4", "errored", "engine.check-crashed").error == "engine error"
    assert said("e5", "nothing").error == "false fail"
    assert replace(said("e5", "passed"), specimen=replace(one, warns=("card.task",))).error == "warnings"
    assert replace(said("e5", "passed"), specimen=replace(one, facts={"kind": "lora"})).error == "facts"
    assert replace(said("e4", "failed", "fit.shape"), specimen=replace(one, says="wider")).error == "wrong words"
    assert "false pass" in table.errors([said("e4", "passed")])[0]


@pytest.mark.merge
def test_a_change_leaves_the_files_it_was_given_alone(quick):
    files = changes.load(quick / "peft5" / "bert-seq-cls")
    kept = dict(files)
    for *_, change in saboteurs.every(quick / "bases")[:60]:
        change(files)
    assert files == kept
