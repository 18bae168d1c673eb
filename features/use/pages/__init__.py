"""The page of commands by tool, its box beside the card of a repository, and the ways that lead there."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext

from features.use.pages.snippets import snippets
from hub.site.panels import Pages, Panel, panels
from hub.site.repository.repository_header import RepositoryHeader, repository_page, shown_header
from hub.site.routing import at
from registry.repos import pull

NEWEST = "newest"
FORMS = "forms"  # stands for the other forms among the tools


@repository_page
def use(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Show the commands of one tool for `version`, the verified one if it says nothing; pages show it as a dialog."""
    if header.is_empty:
        return redirect("repository", header.repository)
    wanted = request.GET.get("version", "")
    chosen = _chosen(header, wanted)
    tools = sorted(snippets(request, chosen), key=lambda tool: not tool.codes)  # what is not possible comes last
    has_forms = any(panel.context({"header": chosen}) is not None for panel in panels("other-forms"))
    name = request.GET.get("tool", "")
    tool = next((each for each in tools if each.key == name), None)
    if tool is None and not (has_forms and name == FORMS):
        tool = next(each for each in tools if each.codes)
    choice = NEWEST if wanted == NEWEST else chosen.pin
    shown = {"header": chosen, "newest": header, "tab": "overview", "subpage": "use"}
    shown |= {"tools": tools, "tool": tool, "has_forms": has_forms}
    shown |= {"choice": choice, "versions": _versions(header, chosen, choice)}
    shown["rev_page"] = f"{reverse('use', args=[header.repository])}?version="
    return render(request, "use/page.html", shown)


def _chosen(header: RepositoryHeader, wanted: str) -> RepositoryHeader:
    """Return the version that was asked for; without a wish the verified one, or the newest where there is none.

    Raises what `pull.resolve`, `pull.require_shown` and `pull.require_standing` raise.
    """
    if wanted in ("", "verified") and header.at_verified:
        return header.at_verified
    chosen = header if wanted in ("", "verified", NEWEST) else shown_header(header.repository, wanted, header.by)
    pull.require_standing(chosen.revision, chosen.by)
    return chosen


def _versions(newest: RepositoryHeader, chosen: RepositoryHeader, choice: str) -> list[tuple[str, str, str]]:
    """Return the versions to choose from: the words, the commit, and the value of `version` that names it."""
    versions = [(gettext("verified"), newest.verified, "verified")] if newest.verified else []
    if newest.revision.oid != newest.verified:
        versions.append((gettext("newest"), newest.revision.oid, NEWEST))
    if chosen.revision.oid not in (newest.verified, newest.revision.oid):
        versions.append((gettext("this version"), chosen.revision.oid, choice))
    return versions


def _box(page: Mapping[str, Any]) -> Mapping[str, object]:
    return {"tools": snippets(page["request"], page["header"].used)}


def _of_repository(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return which version the links in the head of a repository choose: none for `verified`."""
    header = page["header"]
    if header.is_empty:
        return None
    return {"version": header.used.pin if header.rev != "main" and header.used.pin != "verified" else ""}


PAGES = Pages(
    routes=[at("<repository:address>/use", use, "use")],
    panels=(
        Panel("overview", "use/box.html", _box),
        Panel("repository-use", "use/button.html", _of_repository),
        Panel("repository-menu", "use/cite.html", _of_repository),
        Panel("version-menu-start", "use/of_version.html"),
    ),
)
