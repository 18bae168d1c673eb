"""The visitors and adapters of the website's tests, and the Hub's routes."""

from tests.hf.conftest import wire
from tests.site.conftest import cast, patient, reviews, visit

__all__ = ["cast", "patient", "reviews", "visit", "wire"]
