"""Derived versions in the domain: holds follow them, and their sources stay while they wait."""

from django.db.models import Exists, OuterRef, Q

from features.derived import verbs
from features.derived.models import DerivedSource
from registry.kernel.seams import Feature


def _in_use() -> Q:
    return Q(Exists(DerivedSource.objects.filter(revision=OuterRef("pk"), derived__finished_at=None)))


FEATURE = Feature(
    consumers=(("lineage", verbs.consume),), every_minute=(verbs.sweep,), in_use=(_in_use,), made_of=verbs.seen_sources
)
