"""The Hub's routes, pages, and quotas that count."""

from tests.hf.conftest import wire
from tests.hf.test_limits import _throttled
from tests.site.conftest import cast, visit

__all__ = ["_throttled", "cast", "visit", "wire"]
