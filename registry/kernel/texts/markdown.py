"""Turns one Markdown text into safe HTML; imports nothing of ours, because `card.html` runs it as a process."""

import json
import re
import resource
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from urllib.parse import quote, unquote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.gfm import gfm_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES

LANGUAGES = {"python", "py", "json", "yaml", "toml", "bash", "sh", "shell", "console", "diff"}
TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "hr", "i", "img"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ins", "kbd", "li", "ol", "p", "pre", "q", "s", "samp", "small", "span"),
    *("strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
ATTRIBUTES = {
    "*": {"id", "title", "lang", "dir"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "ol": {"start"},
    "details": {"open"},
}
# The classes that Pygments and the parser write; any other would let a card dress up as a part of the site.
CLASSES = {
    "span": {f"hl-{name}" for name in STANDARD_TYPES.values() if name},
    "div": {
        "markdown-alert",
        *(f"markdown-alert-{kind}" for kind in ("note", "tip", "important", "warning", "caution")),
    },
    "p": {"markdown-alert-title"},
    "li": {"task-list-item"},
}

SCROLLED = {tag: {"tabindex": "0"} for tag in ("pre", "table")}  # what is wide scrolls, by the keyboard too


def render_markdown(text: str, *, files: str, pages: str, references: Mapping[str, str] = {}) -> str:
    """Return GitHub Flavored Markdown (https://github.github.com/gfm/) with alerts and footnotes as an HTML fragment.

    Each heading has an id that is made of its text; in the page it begins with `user-content-`.
    Relative images lie below `files`, relative links below `pages`.
    A text of `references` (`@name`, `#3`, the digits of a commit) becomes a link to the address given there, outside of
    code and other links, in any case.
    """
    parser = MarkdownIt("commonmark", {"html": True, "highlight": highlighted}).use(gfm_plugin)
    parser.use(anchors_plugin, max_level=6)
    tokens = parser.parse(text)
    _lower_headings(tokens)
    _draw_checkboxes(tokens)
    _link_foreign_images(tokens)
    if references:
        _link_references(tokens, references)
    html = parser.renderer.render(tokens, parser.options, {})
    return sanitise(html, files=files, pages=pages, ours=references.values())


def sanitise(html: str, *, files: str, pages: str, ours: Iterable[str] = ()) -> str:
    """Return the HTML without what is not on the allow-list: no script, form, frame, or image of other hosts.

    Links to the addresses of `ours` stay as they are.
    """
    return nh3.clean(
        html,
        tags=TAGS,
        clean_content_tags={"script", "style", "svg", "math", "iframe", "object", "template", "noscript", "textarea"},
        attributes=ATTRIBUTES,
        attribute_filter=_address_filter(files, pages, set(ours)),
        allowed_classes=CLASSES,
        set_tag_attribute_values={"img": {"loading": "lazy", "referrerpolicy": "no-referrer"}, **SCROLLED},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow ugc noopener",
        id_prefix="user-content-",
    )


def _address_filter(files: str, pages: str, ours: Collection[str]) -> Callable[[str, str, str], str | None]:
    def address(tag: str, name: str, value: str) -> str | None:
        try:
            return value if name not in ("src", "href") else _address(name, value)
        except ValueError:  # it is none; nh3 keeps an attribute at which its filter fails
            return None

    def _address(name: str, value: str) -> str | None:
        if name == "src":
            return _below(files, value)
        if value.startswith("#"):
            return f"#user-content-{value[1:]}"
        return value if value in ours or urlsplit(value).scheme else _below(pages, value)

    return address


def _below(root: str, address: str) -> str | None:
    """Return the address of a file of the same revision; None for an absolute one: no page may call other hosts."""
    parts = urlsplit(address.replace("\\", "/"))
    # Unquoted: to browsers %2e%2e is two dots too.
    steps = [step for step in parts.path.split("/") if unquote(step) not in ("", ".")]
    if parts.scheme or parts.netloc or parts.path.startswith("/") or ".." in map(unquote, steps) or not steps:
        return None
    return root + quote("/".join(steps), safe="/%")


def highlighted(code: str, language: str, _attributes: str = "") -> str:
    """Return the code as HTML with a class for each kind of word; "" for a language that is not in LANGUAGES."""
    if language not in LANGUAGES:
        return ""
    return str(highlight(code, get_lexer_by_name(language), HtmlFormatter(nowrap=True, classprefix="hl-")))


def _lower_headings(tokens: list[Token]) -> None:
    """Lower headings by one level: the page already has its `h1`."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + 1)}"


def _draw_checkboxes(tokens: list[Token]) -> None:
    """Replace the checkboxes of task lists by characters: nobody can tick them, and forms are not allowed."""
    box: Token | None = None
    for token in tokens:
        if token.type == "list_item_open" and "checked" in token.meta:
            box = Token("text", "", 0, content="☑ " if token.meta.pop("checked") else "☐ ")
        elif token.type == "inline" and box:
            token.children, box = [box, *(token.children or ())], None


def _link_foreign_images(tokens: list[Token]) -> None:
    """Replace images on other hosts by links: loading them would tell those hosts who reads the page."""
    for inline in tokens:
        if inline.children and any(map(_is_foreign_image, inline.children)):
            inline.children = [part for child in inline.children for part in _linked(child)]


def _is_foreign_image(token: Token) -> bool:
    return token.type == "image" and bool(urlsplit(str(token.attrGet("src"))).netloc)


def _linked(token: Token) -> list[Token]:
    if not _is_foreign_image(token):
        return [token]
    link = Token("link_open", "a", 1, attrs={"href": str(token.attrGet("src"))})
    return [link, Token("text", "", 0, content=token.content or "image"), Token("link_close", "a", -1)]


def _link_references(tokens: list[Token], references: Mapping[str, str]) -> None:
    """Link each reference in text outside links; code has tokens of other types."""
    addresses = {written.lower(): address for written, address in references.items()}
    longest_first = sorted(addresses, key=len, reverse=True)
    written = re.compile(
        rf"(?<![\w@/.+#&-])({'|'.join(map(re.escape, longest_first))})(?![A-Za-z0-9_@]|[.-][A-Za-z0-9])", re.IGNORECASE
    )
    for inline in tokens:
        depth, children = 0, list[Token]()
        for child in inline.children or ():
            depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
            is_free = child.type == "text" and not depth
            children += _with_links(child.content, written, addresses) if is_free else [child]
        if inline.children:
            inline.children = children


def _with_links(text: str, written: re.Pattern[str], addresses: dict[str, str]) -> Iterator[Token]:
    at = 0
    for match in written.finditer(text):
        yield Token("text", "", 0, content=text[at : match.start()])
        yield Token("link_open", "a", 1, attrs={"href": addresses[match[1].lower()]})
        yield Token("text", "", 0, content=match[0])
        yield Token("link_close", "a", -1)
        at = match.end()
    yield Token("text", "", 0, content=text[at:])


def main() -> None:
    """Read render_markdown's arguments as JSON from standard input and write HTML; at most 2 s of CPU and 512 MB."""
    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
    resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))
    job = json.load(sys.stdin)
    sys.stdout.write(render_markdown(**job))


if __name__ == "__main__":
    main()
