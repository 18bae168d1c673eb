"""hub.settings for workers of the tests: leases of seconds, so that losing one is no long story."""

from hub.settings import *  # noqa: F403  # the rest is as in life

LEASE_SECONDS = 5
HEARTBEAT_SECONDS = 0.5
