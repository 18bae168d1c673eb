"""Everybody, their browsers, and their clients over REST."""

from tests.api.conftest import ask
from tests.site.conftest import cast, visit

__all__ = ["ask", "cast", "visit"]
