"""The numbers of moderation in the domain: computed each hour."""

from features.transparency import verbs
from registry.kernel.seams import Feature

FEATURE = Feature(every_hour=(verbs.compute,))
