"""Each reader of strangers' bytes takes what is kept, and a few hundred inputs that are the same in each run."""

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.inputs import inputs, kept, seeds
from tests.fuzz.readers import READERS
from tests.sweep import sweep

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape:DeprecationWarning")  # of pickletools, and unpicklers
EXAMPLES = 40
SLOW = {"markdown": 15}  # a rendering takes milliseconds


@sweep("name", READERS)
def test_a_reader_takes_valid_and_kept_inputs(name: str) -> None:
    reader = READERS[name]
    for data in READERS[name].seeds():
        reader.read(data)
    for data in kept(name):
        attempt(name, data)


@pytest.mark.merge
@sweep("name", READERS)
def test_a_reader_returns_or_refuses_in_its_own_words(name: str) -> None:
    @settings(
        max_examples=SLOW.get(name, EXAMPLES), derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def run(data: st.DataObject) -> None:
        attempt(name, data.draw(inputs(name)))

    run()


def test_the_inputs_differ_from_the_seeds() -> None:
    @settings(max_examples=20, derandomize=True, database=None, deadline=None)
    @given(inputs("header"))
    def run(data: bytes) -> None:
        made.add(data)

    made: set[bytes] = set()
    run()
    assert len(made - set(seeds("header"))) > 10


def attempt(name: str, data: bytes) -> None:
    """Let a reader read; its own refusals are answers, all else is a defect, also what C code dropped on its way."""
    dropped: list[BaseException | None] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda fault: dropped.append(fault.exc_value)
    try:
        READERS[name].read(data)
    except READERS[name].refusals:
        pass
    finally:
        sys.unraisablehook = hook
    assert not dropped, dropped
