"""Checks of what the model card tells people and catalogues; they warn and never fail."""

from __future__ import annotations

from dovetail.adapters.description import PIPELINE_TAGS
from dovetail.adapters.findings import Finding, warned
from dovetail.adapters.folder import Folder
from dovetail.adapters.kinds import task_of


def licence(folder: Folder) -> str | Finding:
    found = (folder.card or {}).get("license")
    if found:
        return f"The licence is {str(found)[:60]}."
    return warned("The card names no licence, so nobody may use the adapter.", "Add license: to the top of README.md.")


def base(folder: Folder) -> str | Finding:
    found = (folder.card or {}).get("base_model")
    if found:
        return f"The card names the base {str(found)[:120]}."
    return warned(
        "The card names no base model.", f"Add base_model: {folder.base_id or 'org/name'} to the top of README.md."
    )


def task(folder: Folder) -> str | Finding:
    found = (folder.card or {}).get("pipeline_tag")
    if found:
        return f"The task is {str(found)[:60]}."
    known = PIPELINE_TAGS.get(task_of(folder.config) or "")
    return warned(
        "The card names no task.", f"Add pipeline_tag: {known or 'text-classification'} to the top of README.md."
    )
