"""Whatever a process does that a stranger's bytes took over: it ends in time, hurts its own verdict, leaves nothing."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.adapters import SABOTEURS, TINY_BERT, config, facts_of, lora, prompt, write
from tests.engine.conftest import Engine
from tests.engine.test_saboteurs import failures
from tests.sweep import at_merge

MAIN = Path(__file__).parent / "taken.py"
SECONDS = 1.5
CRASHED, TIME, REFUSED = "engine.check-crashed", "limits.time", "load.error"
ATTACKS = {
    "floods": {CRASHED},
    "drips": {CRASHED, TIME},
    "speaks_for_the_static_checks": {CRASHED},
    "claims_another_job": {CRASHED},
    "sends_evals_without_number": {CRASHED},
    "nests": {CRASHED},
    "says_it_has_done_before_it_began": {CRASHED},
    "says_the_base_changed": {CRASHED, "load.changed-base"},
    "says_numbers_beyond_all_others": {CRASHED},
    "measures_without_measure": {CRASHED},
    "digs_in_its_words": {CRASHED},
    "speaks_in_letters_that_grow": {CRASHED},
    "invents_facts": {CRASHED},
    "leaves_the_last_check_out": {CRASHED},
    "leaves_the_base_out": {CRASHED},
    "says_at_once_that_it_ran": {CRASHED},
    "speaks_twice": {CRASHED},
    "says_who_serves_it": {CRASHED},
    "leaves_early": {CRASHED},
    "raises_the_end": {CRASHED},
    "stops_itself": {TIME},
    "closes_the_pipe_and_lives_on": {CRASHED},
    "hangs_in_its_teardown": {TIME},
    "spins_deaf": {TIME},
    "crashes": {CRASHED},
    "forks": {REFUSED},
    "executes": {REFUSED},
    "executes_from_memory": {REFUSED},
    "exhausts_process_ids": {REFUSED},
    "kills_everybody": {REFUSED},
    "kills_the_group": {REFUSED},
    "kills_the_parent": {REFUSED},
    "traces_the_parent": {REFUSED},
    "writes_the_parents_memory_by_call": {REFUSED},
    "writes_the_parents_memory_by_file": {REFUSED},
    "writes_what_it_shares": {REFUSED},
    "raises_its_limits": {REFUSED},
    "makes_a_sparse_file": {REFUSED},
    "fills_the_disk": {CRASHED},
    "digs_deep": {CRASHED},
    "opens_everything": {REFUSED},
    "makes_many_tensors": {REFUSED},
    "maps_memory": {REFUSED},
}
SLOW = ("closes_the_pipe_and_lives_on", "drips", "stops_itself", "hangs_in_its_teardown")


@pytest.fixture(scope="module", params=["forks", pytest.param("stays", marks=pytest.mark.night)])
def taken(request, bases, tmp_path_factory):
    """An engine whose loading stage attacks where the folder of a job asks for it, in each of the two ways."""
    options = ("--no-fork",) if request.param == "stays" else ()
    home = tmp_path_factory.mktemp("taken")
    engine: Any = Engine(home, "--base", bases / "bert", "--base-id", "tiny/bert", *options, main=MAIN)
    engine.home, engine.stays = home, request.param == "stays"
    yield engine
    engine.stop()  # compares every bit of the base first


def attacked(engine, attack, folder):
    files = lora() | {"attack": attack.encode()}
    began = time.monotonic()
    verdict = engine.validate(
        write(files, folder / attack), facts_of(files), seconds=SECONDS, idle_seconds=SECONDS, memory_bytes=1 << 30
    )
    return verdict, time.monotonic() - began


def traces(engine):
    """Return the resources of an engine that an adapter could leak: descriptors, processes, files in its folder."""
    children = Path(f"/proc/{engine.process.pid}/task/{engine.process.pid}/children").read_text().split()
    files = [path for path in engine.home.rglob("*") if path.is_file()]
    return len(list(Path(f"/proc/{engine.process.pid}/fd").iterdir())), len(children), files


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one not in SLOW] + at_merge(*SLOW))
def test_an_attack_hurts_its_own_verdict_and_nothing_else(attack, taken, tmp_path):
    honest = write(lora(), tmp_path / "honest")
    assert taken.validate(honest, facts_of(lora()))["state"] == "passed"
    before = traces(taken)
    verdict, seconds = attacked(taken, attack, tmp_path)
    assert len(failures(verdict)) == 1, verdict["checks"]
    assert set(failures(verdict)) <= ATTACKS[attack], verdict["checks"]
    assert "worked" not in verdict["checks"][-1]["message"], verdict["checks"][-1]
    assert seconds < SECONDS + 120  # of which most is what a busy machine takes to remove what was left
    assert taken.validate(honest, facts_of(lora()))["state"] == "passed"
    assert traces(taken) == before


@pytest.mark.parametrize("left_out", ["tensors.not-finite", "file.pickle", "privacy.secret", "serving"])
def test_a_process_that_reads_files_and_leaves_a_check_out_proves_nothing(left_out, taken, tmp_path):
    files = lora() | {"early": left_out.encode()}
    verdict = taken.validate(write(files, tmp_path), facts_of(files))
    assert failures(verdict) == [CRASHED], verdict["checks"]
    assert (verdict["state"], verdict["depth"]) == ("errored", "static")


def test_a_process_that_zeroes_the_base_hurts_the_next_adapter_in_neither_way(taken, tmp_path):
    verdict, _ = attacked(taken, "changes_the_base", tmp_path)
    assert failures(verdict) == (["load.changed-base"] if taken.stays else [])
    assert taken.validate(write(lora(), tmp_path / "next"), facts_of(lora()))["state"] == "passed"


@pytest.mark.merge
def test_sixty_adapters_of_every_sort_leave_the_base_and_the_engine_as_they_were(taken, tmp_path):
    """make bench does it with hundreds, and measures."""
    honest = [lora(), lora(dora=True), lora(labels=5), config(bias="all")(lora()), lora(task="TOKEN_CLS", labels=3)]
    honest.append(prompt("PROMPT_TUNING", task="SEQ_CLS", base=TINY_BERT))
    slow = ("closes_the_pipe_and_lives_on", *(name for name, allowed in ATTACKS.items() if TIME in allowed))
    quick = [name for name in ATTACKS if name not in slow]
    spoilt = [spoil(lora()) for _, spoil in list(SABOTEURS.values())[::8]]
    seen = []
    for number in range(60):
        if number % 3 == 0:
            files = honest[number // 3 % len(honest)]
            verdict = taken.validate(write(files, tmp_path / str(number)), facts_of(files))
            assert verdict["state"] == "passed", verdict["checks"]
        elif number % 3 == 1:
            attacked(taken, quick[number % len(quick)], tmp_path / str(number))
        else:
            files = spoilt[number % len(spoilt)]
            assert taken.validate(write(files, tmp_path / str(number)), facts_of(files))["state"] == "failed"
        if number in (21, 57):  # just after an honest one: whoever stays with the base is there
            seen.append(memory(taken))
    assert seen[1] < seen[0] + (64 << 20)


def memory(engine):
    """Return the memory of the parent and its child in bytes."""
    children = Path(f"/proc/{engine.process.pid}/task/{engine.process.pid}/children").read_text().split()
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in [engine.process.pid, *children]]
    return sum(pages) * os.sysconf("SC_PAGESIZE")
