"""Adapters that are made small for trials of serving engines keep what an engine can get wrong."""

import subprocess
from pathlib import Path

import pytest

from tests.engine.conftest import python_of

pytestmark = [pytest.mark.merge, pytest.mark.engine]

TOLD = """
plain 2 run adapter
a kind of layer for each 6 run adapter
late layers 2 run adapter
rank-stabilised 2 run adapter
rank-stabilised, forgotten 2 run neither
a pattern 2 run adapter
a pattern, forgotten 2 run neither
pissa, forgotten 2 run neither
activated 2 run adapter
activated, forgotten 2 run neither
names that PEFT has no place for 2 run base
a module that is not there The base has no module x.
no class transformers 5.24.0 has no class NobodyForCausalLM.
"""


def test_a_small_adapter_answers_as_at_full_size_and_tells_what_an_engine_forgets():
    command = [python_of("e5"), "-P", Path(__file__).parent / "small_adapters.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == TOLD.strip(), done.stderr[-2000:]
