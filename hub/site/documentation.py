"""The documentation as pages, with their search: docs/ and the docs of features, in their declared order.

A file in the docs/ of a feature is added to the page of its name, or is a page of its own among the guides.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import get_script_prefix
from django.utils.html import escape
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from features import FEATURES
from hub.addresses import origin
from hub.site.visitor import caller
from registry.kernel.texts.markdown import highlighted

FOLDER = Path(settings.ROOT, "docs")
EXAMPLE = "https://hub.example.org"  # this hub, in the pages
READER = "alice/"  # the reader's own namespace, in the pages for a start
START = "start"  # the pages for a start begin with it; the first of them has this name
GROUPS = {
    "Start": (
        "start start-trainer start-trl start-peft start-adapters start-sentence-transformers start-diffusers "
        "start-axolotl start-unsloth start-vllm start-sglang start-kubernetes start-ci start-tracking start-agents"
    ),
    "Guides": "versions upload moving tokens ci serving serving-rules derived simple doors accessibility",
    "Reference": (
        "checks checks-engine formats states errors rest rest-verdicts rest-versions client-json wire format-library"
    ),
    "Operate": (
        "operate production kubernetes high-availability sizing settings monitoring runbook backup measurements "
        "accounts quotas moderation releases stability architecture glossary"
    ),
}
LINKED = {f"/{place}" for place in ("join", "upload", "bases", "settings/tokens", "settings/publishers")}
MOST_CONTENTS = 30  # with more headings than these, the contents of a page name its sections alone


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a page with the text below it; the first one is the page itself, and has no anchor."""

    page: str
    title: str
    anchor: str
    heading: str
    level: int
    text: str

    @property
    def address(self) -> str:
        return f"{self.page}#{self.anchor}" if self.anchor else self.page


@dataclass(frozen=True, slots=True)
class Page:
    """One page as HTML, without its title."""

    name: str
    title: str
    html: str
    sections: tuple[Section, ...]

    @property
    def contents(self) -> list[Section]:
        """The headings to choose from; empty if there are fewer than two."""
        below = [section for section in self.sections if section.level > 1]
        deepest = 2 if len(below) > MOST_CONTENTS else 3
        shown = [section for section in below if section.level <= deepest]
        return shown if len(shown) > 1 else []


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """Return the names of all pages by group, in order; those of features come last among the guides."""
    chosen = {group: tuple(members.split()) for group, members in GROUPS.items()}
    named = {name for members in chosen.values() for name in members}
    return chosen | {"Guides": (*chosen["Guides"], *sorted(files().keys() - named))}


@cache
def files() -> dict[str, list[Path]]:
    """Return the files of each page by its name: the core's, then what features add to it."""
    found: dict[str, list[Path]] = {}
    for folder in (FOLDER, *(Path(settings.ROOT, "features", name, "docs") for name in FEATURES)):
        for file in sorted(folder.glob("*.md")):
            found.setdefault(file.stem, []).append(file)
    return found


def text(name: str) -> str:
    """Return the Markdown of a page, whose links to pages in other folders lead to those pages."""
    whole = "\n".join(file.read_text(encoding="utf-8") for file in files()[name])
    return re.sub(r"\]\((?:\.\./)+(?:features/\w+/)?docs/", "](", whole)


@cache
def names() -> tuple[str, ...]:
    """Return the names of all pages in the order of reading."""
    return tuple(name for members in groups().values() for name in members)


@cache
def menu() -> dict[str, list[tuple[str, str]]]:
    """Return the name and title of each page, by group."""
    return {group: [(name, page(name).title) for name in members] for group, members in groups().items()}


@cache
def address_of(heading: str) -> str:
    """Return the page and anchor of a heading, such as the id of a check; "" for one that no page has."""
    sections = (section for name in names() for section in page(name).sections)
    return next((section.address for section in sections if section.heading == heading), "")


@cache
def neighbours(name: str) -> tuple[Page | None, Page | None]:
    """Return the page before and the page after a page."""
    at = names().index(name)
    before, after = names()[:at][-1:], names()[at + 1 : at + 2]
    return next(map(page, before), None), next(map(page, after), None)


@cache  # a few pages, which do not change while a process lives
def page(name: str) -> Page:
    """Return a page. It is our own text, so nothing is taken out of it."""
    parser = MarkdownIt("commonmark").enable("table")
    parser.add_render_rule("fence", _block)
    parser.add_render_rule("code_inline", _code)
    parser.add_render_rule("image", _picture)
    tokens = parser.parse(text(name))
    for opening, inside in pairwise(tokens):
        if opening.type == "heading_open":
            _anchor(opening, inside)
    html = str(parser.renderer.render(tokens[3:], parser.options, {}))  # the first heading is the page's own
    # Wide tables scroll, by the keyboard too; a cell without words is the heading of nothing.
    html = html.replace("<table>", '<table tabindex="0">').replace("<th></th>", "<td></td>")
    return Page(name, _plain(tokens[1]), html, tuple(_sections(name, tokens)))


def anchor(heading: Token) -> str:
    """Return what a link to a heading ends with: its words in lower case, with hyphens."""
    return re.sub(r"[^a-z0-9_]+", "-", heading.content.lower()).strip("-")


def _anchor(opening: Token, inside: Token) -> None:
    """Give a heading its anchor, and that of the places where the pages are read as files: links name either."""
    opening.attrSet("id", anchor(inside))
    in_files = re.sub(r"[^\w -]", "", inside.content.lower()).replace(" ", "-")
    if in_files != anchor(inside):
        inside.children = [Token("html_inline", "", 0, content=f'<a id="{in_files}"></a>'), *(inside.children or [])]


def _sections(name: str, tokens: Sequence[Token]) -> list[Section]:
    """Return the headings of a page, each with the plain text below it."""
    title, found = _plain(tokens[1]), []
    starts = [at for at, token in enumerate(tokens) if token.type == "heading_open"]
    for start, end in pairwise([*starts, len(tokens)]):
        heading = tokens[start + 1]
        text = " ".join(_plain(token) for token in tokens[start + 2 : end] if token.content)
        link = anchor(heading) if start else ""
        found.append(Section(name, title, link, _plain(heading), int(tokens[start].tag[1:]), text))
    return found


def _plain(token: Token) -> str:
    """Return the words of a token without marks, on one line."""
    parts = [
        child.content or " " for child in token.children or [] if child.type in ("text", "code_inline", "softbreak")
    ]
    return " ".join(("".join(parts) if token.children else token.content).split())


def _block(_self: RendererHTML, tokens: Sequence[Token], at: int, _options: Any, env: dict[str, int]) -> str:
    """Return a block of code that can be focused and copied; the second word behind the fence may name its file."""
    language, _, file = tokens[at].info.partition(" ")
    code, number = tokens[at].content, env.get("blocks", 0) + 1
    env["blocks"] = number
    label = f"<figcaption>{escape(file)}</figcaption>" if file and file != "run" else ""
    return (
        f'<figure class="snippet">{label}<pre tabindex="0" id="block-{number}"><code>'
        f"{highlighted(code, language) or escape(code)}</code></pre>"
        f'<button class="copy" type="button" data-copy-from="block-{number}" hidden>Copy</button></figure>\n'
    )


def _code(_self: RendererHTML, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    """Return code within a sentence; the address of a page of this hub leads there."""
    content = tokens[at].content
    code = f"<code>{escape(content)}</code>"
    return f'<a href="{content}">{code}</a>' if content in LINKED or content.removeprefix("/docs/") in names() else code


def _picture(_self: RendererHTML, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    """Return a PNG of img/ with the size that its header states."""
    source, alt = tokens[at].attrs["src"], escape(tokens[at].content)
    width, height = struct.unpack_from(">II", (FOLDER / str(source)).read_bytes(), 16)
    return f'<img src="{source}" width="{width}" height="{height}" alt="{alt}" loading="lazy">'


LONGEST_QUERY = 200  # characters of a query
MOST_WORDS = 8
MOST_FOUND = 20
BEFORE, EXCERPT = 60, 220  # characters before the first match, and in all


@dataclass(frozen=True, slots=True)
class Hit:
    """A section that was found; `excerpt` is a piece of its text around the first word, split at matches."""

    section: Section
    excerpt: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The best hits, and the number of all."""

    hits: list[Hit]
    total: int


def search_docs(query: str) -> Found:
    """Return the sections that have all words of a query, the best first; nothing for a query without words."""
    words = query[:LONGEST_QUERY].casefold().split()[:MOST_WORDS]
    if not words:
        return Found([], 0)
    scored = [(_score(each, words), each.section) for each in _folded() if all(word in each for word in words)]
    scored.sort(key=lambda pair: -pair[0])  # stable: equals stay in the order of reading
    return Found([Hit(section, _excerpt(section.text, words)) for _, section in scored[:MOST_FOUND]], len(scored))


@dataclass(frozen=True, slots=True)
class _Folded:
    """A section in lower case, as words are compared with it."""

    section: Section
    heading: str
    title: str
    text: str

    def __contains__(self, word: str) -> bool:
        return word in self.heading or word in self.text or word in self.title


@cache
def _folded() -> list[_Folded]:
    sections = [section for name in names() for section in page(name).sections]
    return [_Folded(each, each.heading.casefold(), each.title.casefold(), each.text.casefold()) for each in sections]


def _score(each: _Folded, words: Sequence[str]) -> int:
    """Return how well a section answers: words in its heading weigh most, a heading that is the query above all."""
    phrase = " ".join(words)
    score = sum(
        8 * _weight(word, each.heading) + 2 * _weight(word, each.title) + _weight(word, each.text) for word in words
    )
    if phrase in each.text:
        score += 8
    if phrase == each.heading:
        score += 80
    return score


def _weight(word: str, text: str) -> int:
    """Return 2 for a text in which the word begins one, 1 for a text that has it elsewhere, 0 for another."""
    if word not in text:
        return 0
    return 2 if re.search(rf"(?<![a-z0-9]){re.escape(word)}", text) else 1


def _excerpt(text: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return a piece of a text around its first match, split at all matches."""
    pattern = re.compile("(" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + ")", re.IGNORECASE)
    first = pattern.search(text)
    start = max(0, first.start() - BEFORE) if first else 0
    start = text.rfind(" ", 0, start) + 1  # a whole word
    piece = text[start : start + EXCERPT]
    if len(text) > start + EXCERPT:
        piece = piece.rpartition(" ")[0] + " …"
    return tuple(pattern.split(("… " if start else "") + piece))


@require_safe
def docs_index(request: HttpRequest) -> HttpResponse:
    """Show all pages, or what the words of `q` find in them."""
    query = request.GET.get("q", "").strip()[:LONGEST_QUERY]
    shown = {"section": "docs", "groups": menu(), "words": query}
    return render(request, "site/docs.html", shown | {"found": search_docs(query)})


@require_safe
def docs_page(request: HttpRequest, name: str) -> HttpResponse:
    name = name.removesuffix(".md")  # as the pages call each other
    if name not in names():
        raise Http404
    found, user, here = page(name), caller(request).user, origin(request)
    html = found.html.replace(EXAMPLE, escape(here))  # what is copied from here works as it is
    html = html.replace('<a href="/', f'<a href="{get_script_prefix()}')
    html = re.sub(r'(?<=<img src=")img/[^"]+', lambda picture: static(f"docs/{picture[0]}"), html)
    is_start = name.startswith(START)
    if is_start and user:
        html = html.replace(READER, f"{escape(user.username)}/")
    before, after = neighbours(name)
    context = {"section": "docs", "groups": menu(), "page": found, "html": html}
    context |= {"before": before, "after": after, "here": here if is_start else ""}
    return render(request, "site/docs_page.html", context)
