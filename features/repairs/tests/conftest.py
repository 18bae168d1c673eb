"""The adapters and callers of the tests of REST."""

from tests.api.conftest import ask, cast

__all__ = ["ask", "cast"]
