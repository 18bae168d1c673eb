"""Releases in the domain: a tag with a release stays."""

from features.releases import verbs
from registry.kernel.seams import Feature

FEATURE = Feature(before_ref_deleted=(verbs.protect_tag,))
