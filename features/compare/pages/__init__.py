"""Adapters side by side on pages, leaderboards of bases, and the preview of a merge."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from features.compare import merge_previews
from features.compare.comparisons import change_of_versions, evaluation_changes
from features.compare.pages.boards import base_boards, best_of_bases, best_of_home, leaderboard, leaderboard_tasks
from features.compare.pages.compared import colour_of, compared_files, word_of
from features.compare.pages.comparisons import compare, compare_versions, measure_sides
from hub.errors import http_form
from hub.site import routing
from hub.site.panels import Pages, Panel
from hub.site.proof import NEUTRAL
from hub.site.repository.repository_header import RepositoryHeader, repository_page
from registry.kernel.errors import RegistryError, StoreUnavailable
from registry.kernel.policy import Caller, Permission
from registry.models import Revision
from registry.repos import lookup, pull
from registry.repos.refs import MAIN, Viewer


@repository_page
def merge_preview(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Show the form, and with `other=NS/NAME@REV` the preview or why there is none."""
    pull.require_files(header.revision, header.by)
    asked = request.GET.get("other", "")[:400].strip()
    page: dict[str, object] = {"header": header, "tab": "evaluation", "asked": asked}
    status = 200
    if asked:
        try:
            other = _other(asked, header.by)
            page |= {"other": other} | _shown(merge_previews.preview(header.revision, other))
        except StoreUnavailable:
            raise
        except RegistryError as refusal:
            page["problem"], page["way_out"], status = refusal.detail, refusal.fix, _status(refusal)
    return render(request, "compare/merge_preview.html", page, status=status)


def _status(refusal: RegistryError) -> int:
    """Return 409 for what the person may know of and not have; 404 stays for what might as well not be there."""
    status = http_form(refusal).status
    return status if status in (400, 404) else 409


def _other(asked: str, by: Caller) -> Revision:
    """Return the revision that a person named. Raises what looking it up raises."""
    name, _, rev = asked.partition("@")
    repository = lookup.find_at_address(name, by, Permission.DOWNLOAD)
    revision = pull.resolve_pulled(repository, rev or MAIN, Viewer(by))
    pull.require_shown(revision, by)
    pull.require_served(revision, by)
    return revision


def _shown(preview: merge_previews.Preview) -> dict[str, object]:
    rows = list(zip(preview.pairs.modules, preview.merges, strict=False))
    sides = {"columns": preview.mean("columns"), "rows": preview.mean("rows")}
    return {"preview": preview, "modules": rows, "problem": preview.problem, **sides}


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A metric of the branch and of what is proposed; `change` is None unless both were measured on the same rows."""

    metric: str
    before: float | None
    after: float | None
    change: float | None
    colour: str  # passed for a better number, failed for a worse one, "" within chance
    word: str  # why it has no colour
    rows: float


def _proposal(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what an open pull request changes in the measurements of its branch."""
    if not page.get("target"):
        return None
    before, after = (page[side] and page[side].report for side in ("target_verdict", "verdict"))
    found = []
    for one in evaluation_changes(before, after):
        if one.row.name != NEUTRAL:
            old, new = (side.evaluation.adapter if side else None for side in (one.before, one.after))
            found.append(MetricChange(one.row.metric, old, new, one.change, colour_of(one), word_of(one), one.row.rows))
    return {"metric_changes": found} if found else None


def _patch(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what changed in a weight file of a commit whose files this visitor may have."""
    path, before = page["file"].path, page.get("parent_entries")
    if not before or not path.endswith(".safetensors"):
        return None
    try:
        return next(({"weights": file} for file in compared_files(before, page["header"].entries, path)), None)
    except StoreUnavailable:  # what else the commit changed is shown all the same
        return None


def _with_one_before(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return nothing more for a version with a verdict that another one precedes, and files to compare."""
    is_comparable = page["verdict"] and page["before"] and not page["revision"].is_expired
    return {} if is_comparable else None


def _change_of_row(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return how the score of a version differs from that of the version before."""
    row = page["row"]
    if row.verdict_before is None:
        return None
    change = change_of_versions(row.verdict_before.report, row.verdict.report)
    return {"change": change, "colour": colour_of(change), "word": word_of(change)}


def _adapter(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    return {} if page["header"].repository.type == "model" else None


PAGES = Pages(
    routes=[
        routing.at("compare", compare, "compare"),
        *routing.forms("compare", "compare", ("measure", measure_sides, "measure-sides")),
        routing.at("<repository:address>/compare/<str:a>...<str:b>", compare_versions, "compare-versions"),
        routing.at("leaderboards", leaderboard_tasks, "leaderboards"),
        routing.at("leaderboards/<str:task>", leaderboard, "leaderboard"),
        routing.at("<repository:address>/merge-preview/<str:rev>", merge_preview, "merge-preview"),
    ],
    panels=(
        Panel("base-boards", "compare/base_boards.html", base_boards),
        Panel("bases-best", "compare/best_boards.html", best_of_bases),
        Panel("home-boards", "compare/best_boards.html", best_of_home),
        Panel("relative", "compare/of_relative.html"),
        Panel("repository-menu", "compare/of_repository.html", _adapter),
        Panel("tray", "compare/tray.html"),
        Panel("commit-parent", "compare/of_parent.html"),
        Panel("version-menu", "compare/of_version.html", _with_one_before),
        Panel("version-point", "compare/point.html"),
        Panel("versions-plot", "compare/plot.html"),
        Panel("version-change", "compare/of_row.html", _change_of_row),
        Panel("patch", "compare/of_patch.html", _patch),
        Panel("proposal", "compare/of_proposal.html", _proposal),
        Panel("proposal-target", "compare/of_target.html"),
    ),
)
