"""The blocklist in the domain: a sweep of each minute holds back what is here already."""

from features.blocklist import verbs
from registry.kernel.seams import Feature

FEATURE = Feature(every_minute=(verbs.sweep,))
