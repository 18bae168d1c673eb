"""Comparisons in the domain: those that nobody asked for in a long time are forgotten."""

from features.compare import comparisons, measurements
from registry.kernel.seams import Feature

FEATURE = Feature(every_hour=(comparisons.forget_old, measurements.forget_old))
