"""The checks that need no torch, in the order they are asked; each subject has a file of its own."""

from dovetail.adapters.checks import base, card, config, files, fit, privacy, tensors
from dovetail.adapters.findings import Check
from dovetail.adapters.folder import Folder

SOUND = ("file", "config.missing", "config.invalid", "config.fetch", "config.code", "config.kind", "config.pattern")
WHOLE = (
    *SOUND,
    "config.changes-base",
    "config.rank",
    "tensors.unused",
    "tensors.pair",
    "tensors.targets",
    "tensors.replaces-base",
    "base.mismatch",
)

CHECKS: tuple[Check[Folder], ...] = (
    Check("file.pickle", files.pickle),
    Check("file.missing", files.missing, ("file.pickle",)),
    Check("file.ambiguous", files.ambiguous, ("file.missing", "file.pickle")),
    Check("file.twins-differ", files.twins_differ, ("file.missing", "file.pickle")),
    Check("file.header", files.header, ("file.missing", "file.pickle")),
    Check("file.size", files.size, ("file.missing", "file.pickle")),
    Check("config.missing", config.missing),
    Check("config.invalid", config.invalid, ("config.missing",)),
    Check("config.code", config.code, ("config.missing", "config.invalid")),
    Check("config.fetch", config.fetch, ("config.missing", "config.invalid")),
    Check("config.changes-base", config.changes_base, ("config.missing", "config.invalid")),
    Check("config.kind", config.kind, ("config.missing", "config.invalid", "config.fetch")),
    Check("config.pattern", config.pattern, ("file", "config.missing", "config.invalid")),
    Check("config.rank", config.rank, SOUND),
    Check("tensors.dtype", tensors.dtype, ("file",)),
    Check("tensors.not-finite", tensors.not_finite, ("file",)),
    Check("tensors.unused", tensors.unused, SOUND),
    Check("tensors.replaces-base", tensors.replaces_base, SOUND),
    Check("tensors.pair", tensors.pair, (*SOUND, "config.rank")),
    Check("tensors.targets", tensors.targets, (*SOUND, "tensors.unused", "tensors.replaces-base")),
    Check("tensors.layers", tensors.layers, SOUND),
    Check("tensors.all-zero", tensors.all_zero, SOUND),
    Check("tensors.scale", tensors.scale, (*SOUND, "config.rank", "tensors.not-finite")),
    Check("base.unnamed", base.unnamed, ("config.missing", "config.invalid", "config.kind")),
    Check("base.local-path", base.local_path, ("config.missing", "config.invalid", "config.kind", "base")),
    Check("base.unknown", base.unknown, ("config.missing", "config.invalid", "config.kind", "base")),
    Check("base.mismatch", base.mismatch, ("config.missing", "config.invalid", "config.kind", "base")),
    Check("base.quantised", base.quantised, ("config.missing", "config.invalid", "config.kind", "base")),
    Check("base.unpinned", base.unpinned, ("config.missing", "config.invalid", "config.kind")),
    Check("base.vocabulary", base.vocabulary, SOUND),
    Check("eval.random-head", fit.random_head, (*SOUND, "tensors.unused")),
    Check("fit.missing", fit.missing, (*WHOLE, "eval.random-head")),
    Check("fit.unexpected", fit.unexpected, (*WHOLE, "fit.missing")),
    Check("fit.shape", fit.shape, (*WHOLE, "fit.missing", "eval.random-head")),
    Check("card.license", card.license),
    Check("card.base", card.base, ("config.missing", "config.invalid")),
    Check("card.task", card.task, ("config.missing", "config.invalid")),
    Check("privacy.training-data", privacy.training_data, ("file",)),
    Check("privacy.secret", privacy.secret),
)
