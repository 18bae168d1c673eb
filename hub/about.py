"""The version of the hub and the port it listens on by default; imports nothing, so that ops can read it too."""

VERSION = "0.3.0"
# The oldest release whose code runs on the tables of this one: the release before, and itself in the first one. Its
# last commit holds that code, which tests/upgrade runs against the tables of today.
SERVES_FROM = "0.2.0"
COMMIT_THERE = "fcd2aacb1b0eadb61646bf6f6766c873be8dd4a9"
NEWEST_MIGRATION_THERE = "0020_reason_license"
PORT = 8070
