"""Everybody, their clients over REST, the Hub's routes, and an operator's file."""

from tests.api.conftest import ask, cast
from tests.hf.conftest import wire
from tests.registry.test_provision import provision

__all__ = ["ask", "cast", "provision", "wire"]
