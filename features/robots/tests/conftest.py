"""Everybody, their clients over REST, and an operator's file."""

from tests.api.conftest import ask, cast
from tests.registry.test_provision import provision

__all__ = ["ask", "cast", "provision"]
