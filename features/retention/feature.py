"""What rules of retention add to the domain."""

from features.retention import expiry
from registry.kernel.seams import Feature

FEATURE = Feature(every_hour=(expiry.run,))
