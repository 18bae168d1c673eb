"""The pages of docs/ and of the features as HTML, in their declared order, with their headings as contents.

A file in the docs/ of a feature is added to the page of its name, or is a page of its own among the guides.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.html import escape
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from features import FEATURES
from registry.kernel.texts.markdown import highlighted

FOLDER = Path(settings.ROOT, "docs")
EXAMPLE = "https://hub.example.org"  # this hub, in the pages
READER = "alice/"  # the reader's own namespace, in the pages for a start
START = "start"  # the pages for a start begin with it; the first of them has this name
GROUPS = {
    "Start": (
        "start start-trainer start-trl start-peft start-adapters start-sentence-transformers start-diffusers "
        "start-axolotl start-unsloth start-vllm start-sglang start-kubernetes start-ci start-tracking"
    ),
    "Guides": "versions upload tokens ci serving serving-rules derived simple doors",
    "Reference": (
        "checks checks-engine formats states errors rest rest-verdicts rest-versions wire format-library stability"
    ),
    "Operate": (
        "operate production kubernetes settings monitoring runbook backup measurements accounts quotas moderation "
        "architecture glossary"
    ),
}
LINKED = {f"/{place}" for place in ("join", "upload", "bases", "settings/tokens", "settings/publishers", "status")}
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
