"""Rules of retention in the domain: their work of each hour."""

from features.retention import expiry
from registry.kernel.seams import Feature

FEATURE = Feature(every_hour=(expiry.run,))
