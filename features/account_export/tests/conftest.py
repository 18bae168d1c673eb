"""The visitors of the tests of the website."""

from tests.site.conftest import cast, visit

__all__ = ["cast", "visit"]
