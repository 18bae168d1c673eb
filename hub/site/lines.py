"""An adapter as one line of a list: its joint, and the one number or sentence that matters most about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.site.proof import NEUTRAL
from hub.site.proof import document as document_of
from registry.models import Repository
from registry.repos.catalog import SearchPage


@dataclass(frozen=True, slots=True)
class Line:
    """What a list shows: `verdict` is the document of section 3 or None, `beside` is compared with `headline`."""

    repository: Repository
    verdict: Mapping[str, Any] | None
    headline: str = ""
    beside: str = ""


def lines(page: SearchPage) -> list[Line]:
    """The lines of a page of the catalogue, in its order."""
    return [line(repository, page.verdicts.get(repository.pk)) for repository in page.items]


def line(repository: Repository, verdict: Any | None) -> Line:
    if verdict is None:
        return Line(repository, None)
    document = document_of(verdict)
    return Line(repository, document, *_summary(document))


def _summary(document: Mapping[str, Any]) -> tuple[str, str]:
    if document["state"] in ("queued", "running"):
        return "", document.get("reason") or "waiting for its turn" * (document["state"] == "queued")
    if document["state"] == "errored":
        return "", "a check of this hub broke down"
    for check in document.get("checks") or []:
        if check["outcome"] == "failed":
            return check["id"], check.get("fix") or check["message"]
    for measured in (item for item in document.get("evals") or [] if item["name"] != NEUTRAL):
        return f"{measured['metric']} {measured['adapter']:.2f}", f"base {measured['base']:.2f}"
    depth = document.get("depth") or ""
    looked_at = {"fit": ("fit proven", "not run here"), "static": ("checked", "not run here")}
    return looked_at.get(depth, (depth and f"{depth} proven", ""))
