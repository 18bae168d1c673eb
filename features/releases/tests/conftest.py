"""The visitors and adapters of the website's tests."""

from tests.site.conftest import cast, patient, reviews, visit

__all__ = ["cast", "patient", "reviews", "visit"]
