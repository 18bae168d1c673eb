"""Adapters side by side on pages, and what pages of the core say of a comparison."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from features.compare.comparisons import evaluation_changes
from features.compare.pages import leaderboards
from features.compare.pages.compared import colour_of, compared_files, word_of
from features.compare.pages.comparisons import compare, compare_versions
from hub.site import routing
from hub.site.panels import Link, Pages, Panel
from hub.site.proof import NEUTRAL
from registry.kernel.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A metric of the branch and of what is proposed; `change` is None unless both were measured on the same rows."""

    metric: str
    before: float | None
    after: float | None
    change: float | None
    colour: str  # passed for a better number, failed for a worse one, "" within chance
    word: str  # why it has no colour


def _proposal(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what an open pull request changes in the measurements of its branch."""
    if not page.get("target"):
        return None
    before, after = (page[side] and page[side].report for side in ("target_verdict", "verdict"))
    found = []
    for one in evaluation_changes(before, after):
        if one.row.name != NEUTRAL:
            old, new = (side.evaluation.adapter if side else None for side in (one.before, one.after))
            found.append(MetricChange(one.row.metric, old, new, one.change, colour_of(one), word_of(one)))
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


def _adapter(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    return {} if page["header"].repository.type == "model" else None


PAGES = Pages(
    routes=[
        routing.at("compare", compare, "compare"),
        routing.at("<repository:address>/compare/<str:a>...<str:b>", compare_versions, "compare-versions"),
        routing.at("leaderboards", leaderboards.index, "leaderboards"),
        routing.at("leaderboards/<str:task>", leaderboards.one, "leaderboard"),
        routing.at("<repository:address>/merge-preview/<str:rev>", leaderboards.merge_preview, "merge-preview"),
    ],
    links=(Link("main", "leaderboards", _("Leaderboards"), _("leaderboards"), key="l"),),
    panels=(
        Panel("base-buttons", "compare/of_base.html"),
        Panel("relative", "compare/of_relative.html"),
        Panel("version-buttons", "compare/of_repository.html", _adapter),
        Panel("tray", "compare/tray.html"),
        Panel("commit-parent", "compare/of_parent.html"),
        Panel("patch", "compare/of_patch.html", _patch),
        Panel("proposal", "compare/of_proposal.html", _proposal),
        Panel("proposal-target", "compare/of_target.html"),
    ),
)
