"""The version of the hub and the port it listens on by default; imports nothing, so that ops can read it too."""

VERSION = "0.1.0"
# The oldest release whose code runs on the tables of this one: the release before, and itself in the first one. The
# tag `v…` holds its code, which tests/upgrade runs against the tables of today.
SERVES_FROM = "0.1.0"
NEWEST_MIGRATION_THERE = "0001_initial"
PORT = 8070
