"""Cursors of lists: they come back as they went, belong to one order, and no other text is one."""

from datetime import UTC, datetime

import pytest

from registry.kernel.errors import ValueInvalid
from registry.kernel.texts import cursors
from registry.kernel.texts.cursors import Cursor


@pytest.mark.parametrize("cursor", [Cursor(datetime(2026, 1, 2, 3, 4, 5, 6, UTC), 7), Cursor(-3, "a/b"), Cursor(0, 1)])
def test_a_cursor_comes_back_as_it_went(cursor: Cursor) -> None:
    assert Cursor.verify(cursor.sign("likes"), "likes") == cursor


def test_a_cursor_is_good_for_its_own_order_only() -> None:
    text = Cursor(3, 1).sign("likes")
    for order, forged in (("downloads", text), ("likes", text + "x"), ("likes", ""), ("likes", "x"), ("likes", "\0")):
        with pytest.raises(ValueInvalid, match="Invalid cursor"):
            Cursor.verify(forged, order)


@pytest.mark.parametrize("text", ["x", "-1", "0", "1.5", "9" * 30, "\0", " "])
def test_a_row_id_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueInvalid, match="Invalid cursor"):
        cursors.row_id(text)
    assert cursors.row_id("") == 0
    assert cursors.row_id("12") == 12
