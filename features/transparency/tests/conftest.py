"""The cast of the tests of the domain."""

from tests.registry.conftest import cast

__all__ = ["cast"]
