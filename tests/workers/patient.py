"""hub.settings for workers of the tests that never look for work by themselves: only a nudge brings them to it."""

from hub.settings import *  # noqa: F403  # the rest is as in life

LEASE_SECONDS = 3600
HEARTBEAT_SECONDS = 1800
