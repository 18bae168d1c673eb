"""Comparisons in the domain: those of weights that nobody asked for in a long time are forgotten."""

from features.compare import comparisons
from registry.kernel.seams import Feature

FEATURE = Feature(every_hour=(comparisons.forget_old,))
