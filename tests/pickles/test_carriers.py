"""Code that a file runs when it is loaded is found in whatever carries it, and data is left alone."""

import io

import pytest

from dovetail.adapters import check
from dovetail.adapters.checks.pickle import scan
from tests.adapters import lora, openers
from tests.pickles.carriers import CARRIERS, HARMLESS


@pytest.mark.parametrize("name", CARRIERS)
def test_code_is_found_in_whatever_carries_it(name):
    path, data = CARRIERS[name]
    found = scan(path, lambda: io.BytesIO(data))
    assert found is not None
    assert not found.is_data
    assert found.imports & {"os system", "posix system"} or found.reason, found


@pytest.mark.parametrize("name", HARMLESS)
def test_data_is_left_alone(name):
    path, data = HARMLESS[name]
    found = scan(path, lambda: io.BytesIO(data))
    assert found is None or found.is_data, found


def test_the_refusal_names_the_file_and_what_it_carries():
    path, data = CARRIERS["in a zip in a zip"]
    result = next(one for one in check(openers({**lora(), path: data})) if one.id == "file.pickle")
    assert (result.outcome, result.where["quarantine"]) == ("failed", True)
    assert "outer.zip holds x.pkl, which is a pickle and would import os system" in result.message
    keras = next(one for one in check(openers({**lora(), "m.h5": CARRIERS["a Lambda layer of Keras 2"][1]})))
    assert "Lambda layer of Keras" in keras.message
