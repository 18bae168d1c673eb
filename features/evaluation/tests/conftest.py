"""The visitors of the tests of the website."""

from tests.site.conftest import cast, secret, visit

__all__ = ["cast", "secret", "visit"]
