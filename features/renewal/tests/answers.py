"""The rows of renewals in the tests that walk all pages."""

LISTS = ["/stats/changes"]
