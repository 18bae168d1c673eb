"""Everybody, their clients over REST, and their browsers."""

from tests.api.conftest import ask
from tests.site.conftest import cast, visit

__all__ = ["ask", "cast", "visit"]
