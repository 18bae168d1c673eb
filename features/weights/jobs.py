"""Measures the norms of bases in the base cache, tensor by tensor, with no more than a block of one in memory."""

import logging

from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.shapes import base_norms as library
from dovetail.adapters.shapes.base_norms import Norm
from features.weights import base_norms
from registry.kernel.errors import ShelfProblem
from registry.kernel.seams import Jobs
from registry.models import Base
from workers import base_folders

logger = logging.getLogger(__name__)
MAX_BYTES = 64 << 30  # of a base: that takes two minutes of one core


def measure_missing_norms() -> int:
    """Measure the bases of this machine's cache whose norms are not known; return how many."""
    return sum(map(measure_norms, base_norms.unmeasured()))


def measure_norms(base: Base) -> bool:
    """Measure a base and keep its norms; return whether it was measured."""
    if base.size > MAX_BYTES:
        if base_norms.begin(base):
            base_norms.give_up(base, f"the base has {base.size:,} bytes, and up to {MAX_BYTES:,} are measured")
        return False
    try:
        folder = base_folders.path(base)
    except ShelfProblem as problem:  # of this machine: another worker may have the base
        logger.info("The norms of a base were not measured: %s", problem, extra={"base": base.id})
        return False
    if not base_norms.begin(base):
        return False
    norms: dict[str, Norm] = {}
    try:
        for name in sorted(base.files):
            if name.endswith(".safetensors"):
                with (folder / name).open("rb") as file:
                    norms |= library.measure(file, headers.read(file))
    except HeaderError as problem:
        base_norms.give_up(base, f"{name} of the base cannot be read: {problem}")
        return False
    except OSError as problem:  # of the disk, or the base has left the cache: tried again, as often as any attempt
        logger.warning("The norms of a base were not measured: %s", problem, extra={"base": base.id})
        base_norms.release(base)
        return False
    base_norms.record(base, norms)
    return True


JOBS = Jobs(measures=(measure_missing_norms,))
