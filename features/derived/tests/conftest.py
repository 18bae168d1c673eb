"""The visitors and the cast of the website's tests."""

from tests.site.conftest import cast, visit

__all__ = ["cast", "visit"]
