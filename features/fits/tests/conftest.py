"""Everybody, their browsers, and bases whose shapes are known."""

from tests.api.conftest import ask
from tests.fit.conftest import known, measured
from tests.site.conftest import cast, visit

__all__ = ["ask", "cast", "known", "measured", "visit"]
