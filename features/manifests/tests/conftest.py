"""The adapters and callers of the tests of REST and of the pages."""

from tests.api.conftest import ask, cast, repository

__all__ = ["ask", "cast", "repository"]
