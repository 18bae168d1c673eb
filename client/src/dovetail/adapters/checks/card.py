"""Checks of the model card; they warn and never fail."""

from __future__ import annotations

from dovetail.adapters.checks.base import is_local_path
from dovetail.adapters.files.config import ConfigError
from dovetail.adapters.formats import bases, licenses
from dovetail.adapters.formats.description import PIPELINE_TAGS
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.findings import Finding, warned


def license(folder: Folder) -> str | Finding:
    claimed = licenses.stated(folder.card or {})
    if not claimed:
        return warned(
            "The card names no license, so nobody may use the adapter.", "Add license: to the top of README.md."
        )
    base, theirs = _base_license(folder)
    if duties := licenses.conflict(claimed, theirs):
        return warned(
            f"The card says {claimed}, but the base {base[:120]} is under {theirs}, which asks of what is made from "
            f"it: {duties}.",
            f"Set license: {theirs} in README.md, or one that keeps what it asks. This is no legal advice.",
            license=claimed,
            base=base[:120],
            base_license=theirs,
        )
    return f"The license is {claimed[:60]}."


def _base_license(folder: Folder) -> tuple[str, str]:
    """Return the base, and its license as stated by the hub, else by the table of well-known bases."""
    if folder.base is not None:
        return folder.base.id, folder.base.license or bases.license_of(folder.base.id)
    try:
        name = folder.base_id or ""
    except (KeyError, ConfigError):
        return "", ""
    return name, bases.license_of(bases.full_precision(name) or name)


def base(folder: Folder) -> str | Finding:
    card_base = (folder.card or {}).get("base_model")
    if card_base:
        return f"The card names the base {str(card_base)[:120]}."
    name = folder.base_id or ""
    if name and not is_local_path(name):
        return f"The card names no base; the adapter's own files say {name[:120]}."
    return warned(
        "Neither the card nor the adapter's files name a base model.",
        "Add base_model: org/name to the top of README.md.",
    )


def task(folder: Folder) -> str | Finding:
    tag = (folder.card or {}).get("pipeline_tag")
    if tag:
        return f"The task is {str(tag)[:60]}."
    if own := PIPELINE_TAGS.get(folder.stated_task or ""):
        return f"The card names no task; the adapter's own files say {own}."
    return warned(
        "Neither the card nor the adapter's files name a task.",
        "Add pipeline_tag: to the top of README.md, such as text-generation.",
    )
