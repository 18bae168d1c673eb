"""The cast on a database, for every test of the heart."""

from collections.abc import Callable

import pytest

from tests.cast import Cast


@pytest.fixture
def cast(everybody: Callable[[], Cast], db: None) -> Cast:
    """Everybody, in a database of their own."""
    return everybody()
