"""Everybody of the tests of the website."""

from tests.site.conftest import cast

__all__ = ["cast"]
