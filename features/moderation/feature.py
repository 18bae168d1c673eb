"""Moderation in the domain: cases of what the hub found, and appeals that a release answers."""

from features.moderation import appeals, intake
from features.moderation.models import QueueView
from registry.kernel.seams import Feature

FEATURE = Feature(
    moderates=intake.consume,
    found=intake.found,
    released=appeals.approve_open,
    forget=lambda user: QueueView.objects.filter(user=user).delete(),
)
