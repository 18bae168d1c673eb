"""Checks of what the model card tells people and catalogues; they warn and never fail."""

from __future__ import annotations

from dovetail.adapters import bases, licenses
from dovetail.adapters.checks.base import is_local_path
from dovetail.adapters.config import ConfigError
from dovetail.adapters.description import PIPELINE_TAGS
from dovetail.adapters.findings import Finding, warned
from dovetail.adapters.folder import Folder
from dovetail.adapters.kinds import task_of


def license(folder: Folder) -> str | Finding:
    found = licenses.stated(folder.card or {})
    if not found:
        return warned(
            "The card names no license, so nobody may use the adapter.", "Add license: to the top of README.md."
        )
    base, theirs = _base_license(folder)
    if asked := licenses.conflict(found, theirs):
        return warned(
            f"The card says {found}, but the base {base[:120]} is under {theirs}, which asks of what is made from it: "
            f"{asked}.",
            f"Set license: {theirs} in README.md, or one that keeps what it asks. This is no legal advice.",
            license=found, base=base[:120], base_license=theirs,
        )  # fmt: skip
    return f"The license is {found[:60]}."


def _base_license(folder: Folder) -> tuple[str, str]:
    """Return the base, and its license as stated by the hub, else by the table of well-known bases."""
    if folder.base is not None:
        return folder.base.id, folder.base.license or bases.license_of(folder.base.id)
    try:
        named = folder.base_id or ""
    except (KeyError, ConfigError):
        return "", ""
    return named, bases.license_of(bases.full_precision(named) or named)


def base(folder: Folder) -> str | Finding:
    found = (folder.card or {}).get("base_model")
    if found:
        return f"The card names the base {str(found)[:120]}."
    named = folder.base_id or ""
    told = named if named and not is_local_path(named) else "org/name"
    return warned("The card names no base model.", f"Add base_model: {told} to the top of README.md.")


def task(folder: Folder) -> str | Finding:
    found = (folder.card or {}).get("pipeline_tag")
    if found:
        return f"The task is {str(found)[:60]}."
    known = PIPELINE_TAGS.get(task_of(folder.config) or "")
    return warned(
        "The card names no task.", f"Add pipeline_tag: {known or 'text-classification'} to the top of README.md."
    )
