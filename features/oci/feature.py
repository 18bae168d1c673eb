"""Images in the domain: their sweep of each hour."""

from features.oci import images
from registry.kernel.seams import Feature

FEATURE = Feature(every_hour=(images.forget_unused,))
