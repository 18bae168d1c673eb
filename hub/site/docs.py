"""The pages of docs/ on the website: refusals, settings and checks link to their headings. The words are in docs/."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from hub.origin import origin

FOLDER = Path(settings.ROOT, "docs")
START = "start"  # how the pages for a start begin; the first of them has this name
EXAMPLE = "https://hub.example.org"  # this hub, in the pages


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    pages = [(name, page(name)[0]) for name in names()]
    roads = [(name, title) for name, title in pages if name.startswith(START)]
    rest = [each for each in pages if each not in roads]
    return render(request, "site/docs.html", {"section": "docs", "roads": roads, "pages": rest})


@require_safe
def one(request: HttpRequest, name: str) -> HttpResponse:
    name = name.removesuffix(".md")  # as the pages call each other
    if name not in names():
        raise Http404
    title, html = page(name)
    html = html.replace(EXAMPLE, escape(origin(request)))  # what is copied from here works as it is
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
    return title, parser.renderer.render(list(_with_file_names(body)), parser.options, {})


def _with_file_names(tokens: Iterable[Token]) -> Iterator[Token]:
    """Yield the tokens with a line above each block that is a file: its name is the second word behind the fence."""
    for token in tokens:
        _, _, word = token.info.partition(" ") if token.type == "fence" else ("", "", "")
        if word and word != "run":
            yield Token("html_block", "", 0, content=f"<p><code>{escape(word)}</code></p>\n")
        yield token


def anchor(heading: Token) -> str:
    """Return what a link to a heading ends with: its words in lower case, with hyphens."""
    return re.sub(r"[^a-z0-9_]+", "-", heading.content.lower()).strip("-")
