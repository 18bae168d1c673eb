"""The page of what changed costs as much for many as for one."""

from tests.site.conftest import cast, visit
from tests.site.test_pages import what_became_of_many_costs_as_much_as_of_one

__all__ = ["cast", "visit"]  # fixtures


def test_the_page_costs_as_much_for_many_as_for_one(visit, cast):
    what_became_of_many_costs_as_much_as_of_one(visit, cast, "/stats/changes")
