"""Everybody, their clients over REST, and their browsers."""

from tests.api.conftest import ask
from tests.registry.test_provision import provision
from tests.site.conftest import cast, visit

__all__ = ["ask", "cast", "provision", "visit"]
