"""A preview of a merge keeps to its bounds, since a page waits for it and a cache keeps it."""

import io

import pytest

from dovetail.adapters.files import header
from dovetail.adapters.shapes import merge_preview
from tests.adapters import lora


@pytest.fixture
def adapter():
    file = io.BytesIO(lora()["adapter_model.safetensors"])
    return file, header.read(file)


def test_modules_of_a_high_rank_are_left_out(adapter, monkeypatch):
    assert merge_preview.compare(adapter, adapter).shared > 0
    monkeypatch.setattr(merge_preview, "MAX_RANK", 0)
    assert merge_preview.compare(adapter, adapter).shared == 0


def test_a_few_angles_are_kept_and_all_count(adapter, monkeypatch):
    whole = merge_preview.compare(adapter, adapter).modules[0].columns
    monkeypatch.setattr(merge_preview, "MAX_ANGLES", 1)
    short = merge_preview.compare(adapter, adapter).modules[0].columns
    assert (len(whole.angles), len(short.angles)) == (whole.first, 1)
    assert (short.value, short.distance) == (whole.value, whole.distance)
