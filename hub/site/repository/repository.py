"""A repository's first page: its verdict and the card that its author wrote; and the page of commands by tool."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from hub.addresses import absolute
from hub.site import panels
from hub.site.repository.repository_header import README, RepositoryHeader, card_links
from hub.site.repository.repository_pages import reader_header, repository_page, served_header, shown_header
from hub.site.repository.snippets import push_commands, snippets
from registry.kernel import seams
from registry.kernel.errors import StoreUnavailable
from registry.proof.verdicts import requests
from registry.repos import download_counts, pull
from registry.repos.contents import rendered_cards

SPARKLINE_HEIGHT = 24.0
SPARKLINE_DAYS = 30


@dataclass(frozen=True)
class Sparkline:
    """Downloads by day, the oldest first."""

    days: Sequence[tuple[date, int]]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.days)

    @property
    def busiest(self) -> tuple[date, int]:
        """The day with the most downloads, the newest of several, and how many they were."""
        return max(self.days, key=lambda of: (of[1], of[0]))

    @property
    def bars(self) -> list[tuple[int, float, float]]:
        """Place, top and height of a bar for each day with downloads; the tallest fills the height."""
        most = self.busiest[1]
        heights = [
            (place, max(1.0, SPARKLINE_HEIGHT * count / most)) for place, (_, count) in enumerate(self.days) if count
        ]
        return [(place, round(SPARKLINE_HEIGHT - height, 1), round(height, 1)) for place, height in heights]


@repository_page
def repository(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    seams.saw(header.by.user, "repository", header.repository)
    if header.is_empty:
        shown = {"header": header, "tab": "card", "push": push_commands(request, header)}
        return render(request, "site/repository_empty.html", shown)
    main, header = header, served_header(reader_header(header))
    files, pages = card_links(header.repository, header.revision.oid)
    try:
        card = rendered_cards.card_page(header.repository, header.entries.get(README), files=files, pages=pages)
    except StoreUnavailable as silence:  # its verdict and versions are rows
        card = rendered_cards.CardPage(problem=silence.detail.removesuffix("."))
    shown = {"header": header, "tab": "card", "card": card, "tools": snippets(request, header.used)}
    if main.revision != header.revision and (newest := requests.latest(main.revision)):
        refusal = newest.report.refusal if newest.is_final else None
        shown |= {"newest": newest, "newest_check": refusal.id if refusal else ""}
    shown["sparkline"] = Sparkline(download_counts.by_day(header.repository, SPARKLINE_DAYS))
    shown["canonical"] = absolute(request, header.repository.get_absolute_url())
    return render(request, "site/repository.html", shown)


NEWEST = "newest"
FORMS = "forms"  # stands for the other forms among the tools


@repository_page
def use(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Show the commands of one tool for `version`, the verified one if it says nothing; pages show it as a dialog."""
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
