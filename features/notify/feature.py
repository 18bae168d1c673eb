"""Notifications in the domain: they are made of events, and read when their pages are seen."""

from features.notify import alerts, events
from registry.kernel.seams import Feature

FEATURE = Feature(consumers=(("alerts", events.consume), ("followers", events.fan_out)), saw=alerts.saw)
