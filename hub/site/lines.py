"""An adapter as one line of a list: its joint, and the one number or sentence that matters most about it."""

from dataclasses import dataclass

from hub.site.proof import NEUTRAL, Document
from hub.site.proof import document as document_of
from registry.models import Repository, Verdict
from registry.repos.catalog import SearchPage

LOOKED_AT = {"fit": ("fit proven", "not run here"), "static": ("checked", "not run here")}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list; `beside` is what `headline` is compared with."""

    repository: Repository
    verdict: Document | None
    headline: str = ""
    beside: str = ""


def lines(page: SearchPage) -> list[Line]:
    """Return the lines of a page of the catalogue, in its order."""
    return [line(repository, page.verdicts.get(repository.pk)) for repository in page.items]


def line(repository: Repository, verdict: Verdict | None) -> Line:
    """Return the line of a repository and the verdict on it."""
    if verdict is None:
        return Line(repository, None)
    document = document_of(verdict)
    return Line(repository, document, *_summary(document))


def _summary(document: Document) -> tuple[str, str]:
    """Return a headline, and what it is compared with."""
    report = document.report
    if report.state in ("queued", "running"):
        return "", document.reason or ("waiting for its turn" if report.state == "queued" else "")
    if report.state == "errored":
        return "", "a check of this hub broke down"
    if check := report.refusal:
        return check.id, check.fix or check.message
    for measured in report.evals:
        if measured.name != NEUTRAL and measured.adapter is not None and measured.base is not None:
            return f"{measured.metric} {measured.adapter:.2f}", f"base {measured.base:.2f}"
    if report.depth in LOOKED_AT:
        return LOOKED_AT[report.depth]
    return (f"{report.depth} proven" if report.depth else ""), ""
