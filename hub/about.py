"""The version of the hub and the port it listens on by default; imports nothing, so that ops can read it too."""

VERSION = "0.2.0"
# The oldest release whose code runs on the tables of this one: the release before, and itself in the first one. Its
# last commit holds that code, which tests/upgrade runs against the tables of today.
SERVES_FROM = "0.1.0"
COMMIT_THERE = "550e70f436f5f2463dbfb2523624dc4e00b3707c"
NEWEST_MIGRATION_THERE = "0011_list_indexes"
PORT = 8070
