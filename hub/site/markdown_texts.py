"""Texts that people write in Markdown on pages of a repository, as safe HTML: comments, notes of releases, previews."""

import re
import time
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import linebreaks
from django.utils.safestring import SafeString, mark_safe

from hub.site import references
from hub.site.forms import Form
from hub.site.repository.repository_header import RepositoryHeader, card_links
from registry.repos.contents import card

PATIENCE_SECONDS = 4.0  # with all texts of a page together
# Without any of these a text means itself in Markdown.
_MARKED = re.compile(r"[*_`#<>\[\]()!|~\\&]|^\s*(?:[-+=]|\d+[.)])|^ {4}|\t", re.MULTILINE)


def html_of_texts(header: RepositoryHeader, texts: Mapping[int, str]) -> dict[int, SafeString]:
    """Return texts as safe HTML by their keys.

    They are rendered in their order until the time is up; the rest stay plain.
    The next visitor finds the rendered ones in the cache and goes on, so no page of hostile texts takes minutes.
    """
    links = references.addresses(header.by, header.repository, texts.values())
    started = time.monotonic()
    return {
        key: _html(header, text, links, only_known=time.monotonic() - started > PATIENCE_SECONDS)
        for key, text in texts.items()
    }


def html_of_text(header: RepositoryHeader, text: str) -> SafeString:
    """Return one text as safe HTML."""
    return html_of_texts(header, {0: text})[0]


def is_preview(request: HttpRequest) -> bool:
    """Return whether a form was sent by its button Preview, and nothing is to be done yet."""
    return "preview" in request.POST


def preview(request: HttpRequest, header: RepositoryHeader, form: Form, field: str) -> SafeString:
    """Return a field of a form as safe HTML if its preview is asked for, else ""."""
    if not is_preview(request) or not form.is_valid():
        return SafeString("")
    return html_of_text(header, form.cleaned_data[field])


def page_or_preview(request: HttpRequest, template: str, context: dict[str, object], status: int) -> HttpResponse:
    """Return a page with a form; where a script asks for the preview, the part of the page that shows it."""
    if is_preview(request) and request.headers.get("HX-Request"):
        return render(request, "site/parts/preview.html", {"html": context["html"]})
    return render(request, template, {"previews": True, **context}, status=status)


def _html(header: RepositoryHeader, text: str, links: Mapping[str, str], *, only_known: bool) -> SafeString:
    if not text:
        return SafeString("")
    lower = text.lower()
    named = {written: address for written, address in links.items() if written.lower() in lower}
    if not named and not _MARKED.search(text):
        return mark_safe(linebreaks(text, autoescape=True))  # noqa: S308  # escaped
    files, pages = card_links(header.repository, "main")
    html = card.render_card(text, files=files, pages=pages, references=named, only_known=only_known)
    return mark_safe(html)  # noqa: S308  # the card's allow-list
