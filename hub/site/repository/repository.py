"""A repository's first page: its purpose, its verdict, how to use it, and the card that its author wrote."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.addresses import absolute
from hub.site.pictures.sparkline import DAYS, Sparkline
from hub.site.repository.finding_headers import reader_header
from hub.site.repository.repository_header import README, RepositoryHeader, card_links
from hub.site.repository.repository_pages import repository_page, served_header
from hub.site.repository.snippets import push_commands, snippets
from registry.kernel import seams
from registry.kernel.errors import StoreUnavailable
from registry.proof import verdicts
from registry.repos.contents import rendered_cards
from registry.repos.delivery import download_counts


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
    if main.revision != header.revision and (newest := verdicts.latest(main.revision)):
        refusal = newest.report.refusal if newest.is_final else None
        shown |= {"newest": newest, "newest_check": refusal.id if refusal else ""}
    shown["sparkline"] = Sparkline(download_counts.by_day(header.repository, DAYS))
    shown["canonical"] = absolute(request, header.repository.get_absolute_url())
    return render(request, "site/repository.html", shown)
