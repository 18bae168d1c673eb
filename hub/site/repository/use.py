"""The commands for a repository by tool: a page of its own, which the pages of the repository show as a dialog."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from hub.site import panels
from hub.site.repository.finding_headers import shown_header
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import repository_page
from hub.site.repository.snippets import snippets
from registry.repos import pull

NEWEST = "newest"
FORMS = "forms"  # stands for the other forms among the tools


@repository_page
def use(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Show the way of one tool, by default of the first that has one, for `version`: verified if it says nothing."""
    if header.is_empty:
        return redirect("repository", header.repository)
    wanted = request.GET.get("version", "")
    chosen = _chosen(header, wanted)
    tools = snippets(request, chosen)
    has_forms = any(panel.context({"header": chosen}) is not None for panel in panels.panels("other-forms"))
    name = request.GET.get("tool", "")
    tool = next((each for each in tools if each.key == name), None)
    if tool is None and not (has_forms and name == FORMS):
        tool = next(each for each in tools if each.codes)
    choice = NEWEST if wanted == NEWEST else chosen.pin
    shown = {"header": chosen, "newest": header, "tab": "use", "tools": tools, "tool": tool, "has_forms": has_forms}
    shown |= {"choice": choice, "versions": _versions(header, chosen, choice)}
    return render(request, "site/use.html", shown)


def _chosen(header: RepositoryHeader, wanted: str) -> RepositoryHeader:
    """Return the version that was asked for; without a wish the verified one, or the newest where there is none.

    Raises what `pull.resolve`, `pull.require_shown` and `pull.require_served` raise.
    """
    if wanted in ("", "verified") and header.at_verified:
        return header.at_verified
    chosen = header if wanted in ("", "verified", NEWEST) else shown_header(header.repository, wanted, header.by)
    pull.require_served(chosen.revision, chosen.by)
    return chosen


def _versions(newest: RepositoryHeader, chosen: RepositoryHeader, choice: str) -> list[tuple[str, str, str]]:
    """Return the versions to choose from: the words, the commit, and the value of `version` that names it."""
    versions = [(gettext("verified"), newest.verified, "verified")] if newest.verified else []
    if newest.revision.oid != newest.verified:
        versions.append((gettext("newest"), newest.revision.oid, NEWEST))
    if chosen.revision.oid not in (newest.verified, newest.revision.oid):
        versions.append((gettext("this version"), chosen.revision.oid, choice))
    return versions
