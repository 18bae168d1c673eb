"""The visitors of the website's tests, and the Hub's routes."""

from tests.hf.conftest import wire
from tests.site.conftest import cast

__all__ = ["cast", "wire"]
