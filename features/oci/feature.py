"""Images in the domain: their sweep of each hour, and their layers, which workers hash after a push."""

import logging
import time

from features.oci import images
from registry.kernel.errors import StoreUnavailable, ValueInvalid
from registry.kernel.seams import Feature, Jobs

logger = logging.getLogger(__name__)
SECONDS = 15  # after that no layer is begun: the others wait for the next tick


def work() -> None:
    """Compute the digests that wait, then prepare images; a layer that fails is tried again after its lease."""
    until = time.monotonic() + SECONDS
    for revision in images.without_image():
        if time.monotonic() > until:
            return
        try:
            images.find_or_make(revision)
        except (images.ImageNotReady, ValueInvalid, StoreUnavailable) as problem:
            logger.info("An image was not made: %s", problem, extra={"revision": revision.oid})
    while time.monotonic() < until and (layer := images.claim()):
        try:
            images.compute(layer)
        except StoreUnavailable as problem:
            logger.warning("A layer was not hashed: %s", problem, extra={"recipe": layer.recipe})


FEATURE = Feature(every_hour=(images.forget_unused,))
JOBS = Jobs(after_push=(work,))
