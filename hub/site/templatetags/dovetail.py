"""Draws the bar of areas of a verdict for templates, and formats states, kinds and digests."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode

from django import template
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from dovetail.adapters.results.report import Content
from dovetail.serve.server_start import has_parts, part_of, start
from hub.about import VERSION
from hub.addresses import origin
from hub.site import measures
from hub.site import panels as joined
from hub.site.proof import ENGINE_TITLES, Document, Served
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.routing import RepositoryConverter
from hub.site.verdict_summary import AreaResult, shapes, summarize, summary_text
from hub.site.words import english, in_words, of_script, task_name, ticks
from registry.kernel import site_settings
from registry.kernel.site_settings import Banner
from registry.models import Repository

register = template.Library()
register.simple_tag(lambda: VERSION, name="version")
register.simple_tag(lambda: settings.LANGUAGES, name="languages")
register.simple_tag(joined.links, name="links")
NUMBERS = (measures.size, measures.number, measures.signed, measures.decimals, measures.percent)
SCORES = (measures.score, measures.signed_score, measures.chance)
RANGES = (measures.number_range, measures.percent_range)
TIMES = (measures.milliseconds, measures.seconds, measures.ago)
for shown in (*NUMBERS, *SCORES, *RANGES, *TIMES, in_words, task_name, ticks, english):
    register.filter(shown)

_COMMIT = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{32}\b")
_SEPARATORS = re.compile(r"([_./,])(?=\w)")
KINDS = {
    "lora": "LoRA",
    "ia3": "IA³",
    "prompt-tuning": _("prompt tuning"),
    "prefix-tuning": _("prefix tuning"),
    "p-tuning": "P-tuning",
    "dora": "DoRA",
    "qlora": "QLoRA",
    "loha": "LoHa",
    "lokr": "LoKr",
    "adalora": "AdaLoRA",
    "vera": "VeRA",
    "oft": "OFT",
    "boft": "BOFT",
    "glora": "GLoRA",
}
STATE_CLASSES = {"passed", "failed", "errored", "running", "noted"}


@register.simple_tag(takes_context=True)
def panels(context: template.Context, spot: str) -> SafeString:
    """Return what features show at a spot of this page."""
    page, shown = cast("Mapping[str, Any]", context.flatten()), SafeString()
    for panel in joined.panels(spot):
        if (more := panel.context(page)) is not None:
            shown += render_to_string(panel.template, {**page, **more}, context["request"])
    return shown


FRAMES = {
    "settings": _("Settings"),
    "repository": _("Settings"),
    "organization": _("Organisation"),
    "moderation": _("Moderation"),
    "status": _("Status"),
}


@register.inclusion_tag("site/parts/frame_menu.html", takes_context=True)
def frame_menu(context: template.Context, name: str, *subject: object) -> dict[str, object]:
    """The entries at the side of settings or moderation, and the pages of the one that is open."""
    entries = joined.frame_menu(context["request"], name, *subject)
    opened = next((entry for entry in entries if entry.is_open), None)
    about = subject[0] if name == "organization" else None  # a repository stands in the head of the page
    return {"label": FRAMES[name], "entries": entries, "open": opened, "about": about}


@register.inclusion_tag("site/parts/verdict_bar.html")
def verdict_bar(verdict: Document | None, large: bool = False, page: str = "") -> dict[str, Any]:
    """The seven areas of a verdict as a bar: small for lists, large with labels; on `page` each has its checks."""
    sizes = {"pitch": 50.0, "height": 32.0, "lean": 12.0, "gap": 2.4} if large else _SMALL
    width, height = (364.0, 60.0) if large else (133.0, 19.0)
    report = verdict.report if verdict else None  # a template's missing value is an empty text
    drawn = shapes(summarize(report), **sizes)
    shown = {"shapes": drawn, "large": large, "width": width, "height": height, "twin": summary_text(report)}
    return {**shown, "page": page}


_SMALL = {"pitch": 18.2, "height": 15.0, "lean": 5.6, "gap": 1.6}


@register.inclusion_tag("site/parts/verdict_bar.html")
def area_mark(area: AreaResult) -> dict[str, Any]:
    """The mark of a single area, for its line."""
    drawn = shapes([area], pitch=22.0, height=15.0, lean=6.0, gap=1.6)
    return {"shapes": drawn, "single": True, "width": 28.0, "height": 19.0, "twin": area.words}


@register.simple_tag
def site_banner() -> Banner | None:
    """Return the banner of the operator that is shown now."""
    return site_settings.current_banner()


@register.simple_tag
def is_open() -> bool:
    """Return whether anybody may join."""
    return site_settings.get_setting("registration") == "open" and settings.PASSWORD_SIGN_IN


@register.simple_tag
def takes_passwords() -> bool:
    """Return whether people may sign in by a password or a passkey."""
    return bool(settings.PASSWORD_SIGN_IN)


@register.simple_tag
def sends_mail() -> bool:
    """Return whether this hub can send mail."""
    return bool(settings.MAIL_FROM)


@register.filter
def text_link(lines: Iterable[str]) -> str:
    """Return an address that holds these lines, for a link that downloads them without another request."""
    return f"data:text/plain;charset=utf-8,{quote(chr(10).join(lines) + chr(10))}"


@register.simple_tag
def download_url(repository: Repository, revision: str, path: str) -> str:
    """Return the address that a file of a revision is downloaded from."""
    return repository.file_url(revision, path)


@register.inclusion_tag("site/parts/report_link.html")
def report_link(
    kind: str, subject: Repository | str, rest: str = "", *, text: str = "", label: str = "", style: str = ""
) -> dict[str, str]:
    """A link to the form, if a feature has one, that reports a repository, with what follows its id, or a name."""
    id = RepositoryConverter().to_url(subject) if isinstance(subject, Repository) else subject
    query = urlencode({"type": kind, "id": f"{id}{rest}"})
    form = next(iter(joined.links("report")), None)
    return {
        "address": f"{reverse(form.route)}?{query}" if form else "",
        "text": text or gettext("Report"),
        "label": label,
        "style": style or "third small",
    }


@register.filter
def state_words(verdict: Document | None) -> str:
    """A verdict's state for people: `passed, 2 notes`, `failed`, `checked, not run here`, `no verdict yet`."""
    if not verdict:
        return gettext("no verdict yet")
    report = verdict.report
    if report.state != "passed":
        return in_words(report.state)
    if report.depth == "static":
        return gettext("checked, not run here")
    if report.depth == "fit":
        return gettext("fits, not run")
    notes = _notes(verdict)
    if not notes:
        return in_words("passed")
    return ngettext("passed, {count} note", "passed, {count} notes", notes).format(count=notes)


def _notes(verdict: Document) -> int:
    return sum(check.outcome == "warned" for check in verdict.report.checks)


@register.filter
def state_class(verdict: Document | None) -> str:
    """The colour that goes with `state_words`; a passed verdict with notes is `noted`."""
    if not verdict:
        return ""
    state = verdict.report.state
    if state == "passed" and (verdict.report.depth == "static" or _notes(verdict)):
        return "noted"
    return state if state in STATE_CLASSES else ""


@register.filter
def short(digest: str) -> str:
    """The first eight characters of a digest."""
    return digest[:8]


@register.filter
def short_commits(text: str) -> str:
    """A text with the commits in it by their first eight characters."""
    return _COMMIT.sub(r"\1", text)


@register.filter
def breakable(text: str) -> SafeString:
    """A name or a value that may go on in the next line after its separators, not within its words."""
    return mark_safe(_SEPARATORS.sub(r"\1<wbr>", escape(text)))  # noqa: S308  # escaped


@register.filter
def kind_name(kind: str) -> str:
    """An adapter kind as the field writes it: LoRA, IA³, prefix tuning."""
    return str(KINDS.get(kind, kind.replace("-", " ")))


@register.filter
def license(identifier: str) -> str:
    """A license id as lawyers write it: MIT, Apache-2.0, CC-BY-SA-4.0."""
    known = {"mit": "MIT", "apache-2.0": "Apache-2.0", "unknown": "unknown", "other": "other"}
    return known.get(
        identifier, identifier.upper() if identifier.startswith(("cc-", "gpl", "bsd", "mpl")) else identifier
    )


@register.filter
def spaced(word: str) -> str:
    """`text-classification` as people say it."""
    return word.replace("-", " ")


@register.simple_tag
def script_words(name: str) -> str:
    """Return the texts of a script in the language of the page as JSON; nothing in English, which the script has."""
    words = of_script(name)
    return json.dumps(words, ensure_ascii=False) if words else ""


@register.filter
def as_json(value: object) -> str:
    """Return a value of the audit log as text: texts as they are, others as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@register.filter
def last_part(name: str) -> str:
    """`all-MiniLM-L6-v2` of `sentence-transformers/all-MiniLM-L6-v2`."""
    return name.rsplit("/", 1)[-1]


# --- the start of a serving engine with a version ---------------------------------------------------------------------
@register.simple_tag(takes_context=True)
def start_commands(context: template.Context, header: RepositoryHeader, line: Served) -> str:
    """Return the commands that start an engine with the version of a page, one a line; "" where it does not serve.

    Also "" for several adapters, each of which has its own.
    """
    if header.proof and has_parts(header.proof.report):
        return ""
    return "\n".join(start(line.answer, header.target(origin(context["request"]))).commands)


@register.simple_tag(takes_context=True)
def part_commands(context: template.Context, header: RepositoryHeader, content: Content) -> list[tuple[str, str]]:
    """Return the title of each engine that serves one of several adapters, and the commands that start it, by line."""
    target = part_of(content, header.target(origin(context["request"])))
    starts = [(answer.engine, start(answer, target).commands) for answer in content.serving or ()]
    return [(ENGINE_TITLES.get(engine, engine), "\n".join(commands)) for engine, commands in starts]
