"""The pages of docs/ on the website: refusals, settings and checks link to their headings. The words are in docs/."""

import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

FOLDER = Path(settings.ROOT, "docs")


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    pages = [(name, page(name)[0]) for name in names()]
    return render(request, "site/docs.html", {"section": "docs", "pages": pages})


@require_safe
def one(request: HttpRequest, name: str) -> HttpResponse:
    name = name.removesuffix(".md")  # as the pages call each other
    if name not in names():
        raise Http404
    title, html = page(name)
    return render(request, "site/docs.html", {"section": "docs", "title": title, "html": html})


@cache
def names() -> tuple[str, ...]:
    """Return the pages there are, by name."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.md")))


@cache  # a few pages, which do not change while a process lives
def page(name: str) -> tuple[str, str]:
    """Return a page's title and its HTML. It is our own text, so nothing is taken out of it."""
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    for opening, inside in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", anchor(inside))
    title, body = tokens[1].content, tokens[3:]  # the first heading is the page's own
    return title, parser.renderer.render(body, parser.options, {})


def anchor(heading: Token) -> str:
    """Return what a link to a heading ends with: its words in lower case, with hyphens."""
    return re.sub(r"[^a-z0-9_]+", "-", heading.content.lower()).strip("-")
