"""The imports that the pickled state of a training may have: classes of settings of trainers, and what holds numbers.

A whole library is never trusted: torch, numpy and transformers have functions that run a text, build an extension or
fetch code from a hub.
"""

from __future__ import annotations

import re

from dovetail.adapters.files.pickle_imports import MEMBER, TENSOR_IMPORTS

# The libraries whose classes of settings trainers pickle.
TRAINERS = (
    "accelerate", "alignment", "axolotl", "llamafactory", "llmtuner", "peft", "sentence_transformers", "setfit",
    "swift", "torch.distributed", "transformers", "trl",
)  # fmt: skip
SETTINGS = re.compile(
    r"[A-Z]\w*(?:Arguments|Config|Constants|Kwargs|Loss|Method|Mode|Names|Option|Plugin|Policy|Prefetch|Samplers|State"
    r"|Strategy|Type)"
)
NUMBERS = frozenset({
    "_codecs encode", "collections OrderedDict", "collections defaultdict", "collections deque", "datetime timedelta",
    "numpy dtype", "numpy ndarray", "pathlib PosixPath", "pathlib PurePosixPath", "pathlib WindowsPath", "torch Size",
    "torch device",
    *(f"numpy.{core}.multiarray {name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *(f"{module} {name}" for module in ("builtins", "__builtin__") for name in ("dict", "list", "object", "set")),
    *(f"{module} _reconstructor" for module in ("copy_reg", "copyreg")),
})  # fmt: skip


def is_of_trainer(name: str) -> bool:
    """Return whether a trainer pickles an import; a dotted name would lead on, as in `torch os.system`."""
    if name == MEMBER or name in NUMBERS or name in TENSOR_IMPORTS:
        return True
    module, _, member = name.partition(" ")
    of_trainer = any(module == trainer or module.startswith(f"{trainer}.") for trainer in TRAINERS)
    return of_trainer and bool(SETTINGS.fullmatch(member))
