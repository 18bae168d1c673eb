"""Values change their dtype as torch changes them; numpy says what is right."""

import numpy as np
import pytest

from dovetail.adapters.files.values import converted


def some_floats():
    drawn = np.random.default_rng(0).normal(0, 1, 200_000).astype("<f4")
    return np.concatenate([drawn, [0.0, -0.0, 1e-8, 6.1e-5, 5.9e-8, 1.00390625, 1.01171875, 65504, -65504]]).astype(
        "<f4"
    )


def in_bf16(values):
    """Nearest, and of two as near the even one."""
    bits = values.view("<u4").astype("u8")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def test_floats_are_rounded_to_nearest_even():
    values = some_floats()
    assert converted(values.tobytes(), "F32", "F16") == values.astype("<f2").tobytes()
    assert converted(values.tobytes(), "F32", "BF16") == in_bf16(values).tobytes()


def test_halves_are_widened_without_loss():
    halves = some_floats().astype("<f2")
    assert converted(halves.tobytes(), "F16", "F32") == halves.astype("<f4").tobytes()
    cut = in_bf16(some_floats())
    assert converted(cut.tobytes(), "BF16", "F32") == (cut.astype("<u4") << 16).astype("<u4").tobytes()


@pytest.mark.parametrize("value", [65520.0, -1e30])
def test_what_f16_cannot_hold_is_like_nothing(value):
    assert converted(np.array([1.0, value], "<f4").tobytes(), "F32", "F16") == b""
