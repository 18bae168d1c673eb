"""The pages of docs/ on the website: refusals, settings and checks link to their headings. The words are in docs/."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


OPERATING = ("operate", "runbook", "settings", "accounts", "sso", "moderation", "quotas", "architecture")
USING = ("upload", "tokens", "simple", "serving", "derived", "upstream", "doors", "ci", "notifications")


@dataclass(frozen=True, slots=True)
class Page:
    """One page as HTML, without its title; `contents` are the headings of its sections, each with its anchor."""

    title: str
    html: str
    contents: tuple[tuple[str, str], ...]


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "site/docs.html", {"section": "docs", "groups": groups()})


@require_safe
def one(request: HttpRequest, name: str) -> HttpResponse:
    name = name.removesuffix(".md")  # as the pages call each other
    if name not in names():
        raise Http404
    shown = page(name)
    html = shown.html.replace(EXAMPLE, escape(origin(request)))  # what is copied from here works as it is
    context = {"section": "docs", "groups": groups(), "name": name, "page": shown, "html": html}
    return render(request, "site/docs.html", context)


@cache
def names() -> tuple[str, ...]:
    """Return the pages there are, by name."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.md")))


@cache
def groups() -> dict[str, list[tuple[str, str]]]:
    """Return the name and title of each page, by what people look for; a page that is in no group is reference."""
    starts = [name for name in names() if name.startswith(START)]
    rest = [name for name in names() if name not in {*starts, *USING, *OPERATING}]
    chosen = {"Start": starts, "Use it": USING, "Reference": rest, "Run a hub": OPERATING}
    return {group: [(name, page(name).title) for name in members] for group, members in chosen.items()}


@cache  # a few pages, which do not change while a process lives
def page(name: str) -> Page:
    """Return a page. It is our own text, so nothing is taken out of it."""
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse((FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    sections = []
    for opening, inside in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", anchor(inside))
            if opening.tag == "h2":
                sections.append((anchor(inside), inside.content.replace("`", "")))
    title, body = tokens[1].content, tokens[3:]  # the first heading is the page's own
    html = parser.renderer.render(list(_with_file_names(body)), parser.options, {})
    for tag in ("pre", "table"):  # what is wide scrolls, by the keyboard too
        html = html.replace(f"<{tag}>", f'<{tag} tabindex="0">')
    return Page(title, html, tuple(sections))


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
