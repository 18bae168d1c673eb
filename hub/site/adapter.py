"""An adapter's first page: what it is for, whether it is proven, how to use it, and the card its author wrote."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.site.head import README, Head, adapter_page, card_links
from hub.site.text import text_of
from hub.site.use import push_commands, snippets
from registry.kernel.errors import RevisionNotVerified
from registry.repos import card, pull
from registry.talk import alerts


@adapter_page
def repository(request: HttpRequest, head: Head) -> HttpResponse:
    if head.repository.gated:
        alerts.saw(head.by.user, [alerts.Kind.DECIDED], repository=head.repository)
    if head.is_empty:
        shown = {"head": head, "tab": "card", "push": push_commands(request, head)}
        return render(request, "site/adapter_empty.html", shown)
    head = _served(head)
    written, problem = _card(head)
    shown = {"head": head, "tab": "card", "card": written, "problem": problem, "snippets": snippets(request, head)}
    return render(request, "site/adapter.html", shown)


def _served(head: Head) -> Head:
    """The head itself, or the verified revision in its place where this hub shows strangers nothing else."""
    try:
        pull.require_served(head.revision, head.by)
    except RevisionNotVerified as refusal:
        if not refusal.facts.get("verified"):
            raise
        return Head(head.repository, pull.resolve(head.repository, "verified"), "verified", head.by)
    return head


def _card(head: Head) -> tuple[str, str]:
    """The card as safe HTML, "" without one, and why its metadata cannot be read."""
    entry = head.entries.get(README)
    if entry is None:
        return "", ""
    read = card.parse_card(text_of(entry))
    files, pages = card_links(head.repository, head.revision.oid)
    html = card.render_card(read.body, files=files, pages=pages)
    return html, read.problem or ""
