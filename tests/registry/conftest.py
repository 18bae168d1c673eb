"""The cast on a database, for every test of the heart."""

import pytest

from tests.cast import Cast, assemble


@pytest.fixture
def cast(db) -> Cast:
    """Everybody, in a database of their own."""
    return assemble()
