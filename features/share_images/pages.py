"""The picture that other sites show beside a link to a repository: of public ones alone, and the same for everybody.

It is a PNG of 1200 × 630 pixels. Pillow draws it, which avatars brought already, with the fonts of the website, whose
WOFF2 files it reads. It draws at twice the size, because Pillow's polygons have no smooth edges, and reduces that.
"""

import base64
import hashlib
import io
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from hub.about import VERSION
from hub.site import routing
from hub.site.measures import number, size
from hub.site.panels import Pages, Panel
from hub.site.pictures import Dumbbell
from hub.site.proof import Measured, Metrics, metrics
from hub.site.repository.repository_header import RepositoryHeader, reader_header, shown_header
from hub.site.templatetags.dovetail import kind_name, last_part, spaced, state_class, state_words
from hub.site.verdict_summary import AreaResult, shapes
from registry.kernel import refusals
from registry.kernel.policy import NOBODY
from registry.kernel.texts import phrases
from registry.repos import lookup

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

SLOTS = 512  # pictures that are kept, some 14 MB of the shared cache; each of a verdict has its slot, and may lose it
KEPT_SECONDS = 7 * 24 * 3600
LEGEND = {"adapter": "this version", "base": "base", "previous": "before", "claimed": "claimed"}
LEGEND_MARKS = 3
WIDTH, HEIGHT = 1200, 630
LEFT, RIGHT = 80, WIDTH - 80
SCALE = 2
COLOURS = 128  # of the palette: few are drawn, the others are edges
FONTS = Path(__file__).resolve().parents[2] / "static" / "fonts"
TEXT, HEAD = "inter-latin-wght-normal.woff2", "bricolage-grotesque-latin-wght-normal.woff2"
# The light tokens of static/css/dovetail.css.
PAPER, CARD, INK, SECOND, THIRD, LINE = "#faf9f6", "#ffffff", "#1c1b19", "#57534c", "#6f6a61", "#e3dfd6"
ACCENT, BAR, INTERVAL = "#0b6e5a", "#8fbab0", "#d0e1dc"  # the last two: 45 % and 18 % of accent on paper
OUTCOMES = {"passed": "#1a7f4e", "noted": "#9a5b00", "failed": "#b3261e", "errored": "#b3261e", "running": "#2459c4"}
IDLE = "#d3cdc1"
TAIL = ((2, 2.5), (30, 2.5), (30, 12), (21, 12), (24, 22.2), (8, 22.2), (11, 12), (2, 12))
PIN = ((2, 14.2), (8.3, 14.2), (5.3, 24.4), (26.7, 24.4), (23.7, 14.2), (30, 14.2), (30, 29.5), (2, 29.5))
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ShareImage:
    """The texts and numbers of one picture; `areas` and `dumbbell` are left out where there is no verdict or score."""

    namespace: str
    name: str
    facts: Sequence[str]
    state: str = ""
    state_class: str = ""
    checks: str = ""
    areas: Sequence[AreaResult] = ()
    metric: str = ""
    dumbbell: Dumbbell | None = None
    numbers: Sequence[tuple[str, str, str]] = ()  # class of the mark, its label, its value

    def png(self) -> bytes:
        """Draw it; about 60 ms of processor time."""
        from PIL import Image, ImageDraw  # noqa: PLC0415  # 10 MB, which most processes never need

        image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), PAPER)
        pen = _Pen(ImageDraw.Draw(image))
        self._draw_head(pen)
        if self.areas:
            self._draw_joint(pen)
        if self.dumbbell:
            self._draw_dumbbell(pen, self.dumbbell)
        encoded = io.BytesIO()
        image.reduce(SCALE).quantize(COLOURS, Image.Quantize.FASTOCTREE).save(encoded, "PNG")
        return encoded.getvalue()

    def _draw_head(self, pen: "_Pen") -> None:
        pen.shape(((LEFT + x * 1.5, 56 + y * 1.5) for x, y in TAIL), ACCENT)
        pen.shape(((LEFT + x * 1.5, 56 + y * 1.5) for x, y in PIN), INK)
        pen.text(LEFT + 62, 91, "Dovetail", _Style(HEAD, 34, 650, INK))
        pen.text(LEFT, 170, f"{self.namespace} /", _Style(TEXT, 32, 450, THIRD))
        size = next((size for size in (76, 60, 48) if pen.width(self.name, HEAD, size, 700) <= RIGHT - LEFT), 40)
        name, facts = _Style(HEAD, size, 700, INK), _Style(TEXT, 28, 450, SECOND)
        pen.text(LEFT, 240, pen.cut(self.name, name, RIGHT - LEFT), name)
        pen.text(LEFT, 292, pen.cut("  ·  ".join(filter(None, self.facts)), facts, RIGHT - LEFT), facts)

    def _draw_joint(self, pen: "_Pen") -> None:
        top = 328
        for shape in shapes(self.areas, pitch=82, height=54, lean=20, gap=4):
            colour = OUTCOMES.get(shape.area.outcome, IDLE)
            pen.shape(((LEFT + x, top + y) for x, y in _points(shape.outline)), colour)
            if shape.mark:
                pen.line([(LEFT + shape.middle, top + 24), (LEFT + shape.middle, top + 46)], 3, CARD)
            pen.text(LEFT + shape.middle, top + 94, shape.area.area, _Style(TEXT, 20, 500, SECOND), "ms")
        pen.text(LEFT + 640, top + 34, self.state, _Style(HEAD, 42, 650, OUTCOMES.get(self.state_class, INK)))
        pen.text(LEFT + 640, top + 72, self.checks, _Style(TEXT, 26, 450, SECOND))

    def _draw_dumbbell(self, pen: "_Pen", picture: Dumbbell) -> None:
        middle = 520.0

        def at(percent: float) -> float:
            return LEFT + (RIGHT - LEFT) * percent / 100

        pen.text(LEFT, 482, self.metric, _Style(TEXT, 26, 600, INK))
        pen.line([(LEFT, middle), (RIGHT, middle)], 3, LINE)
        if picture.interval:
            start, width = picture.interval
            pen.block((at(start), middle - 16), (at(start + width), middle + 16), INTERVAL)
        if picture.bar:
            pen.line([(at(end), middle) for end in picture.bar], 5, BAR)
        for mark in picture.marks:
            pen.mark(mark.who, (at(mark.x), middle))
        left: float = LEFT + 12
        for who, label, value in self.numbers:
            pen.mark(who, (left, 578))
            left = pen.text(left + 26, 587, label, _Style(TEXT, 26, 450, SECOND)) + 12
            left = pen.text(left, 587, value, _Style(TEXT, 26, 700, INK)) + 44


@dataclass(frozen=True, slots=True)
class _Style:
    font: str
    size: int
    weight: int
    colour: str


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws in the pixels of the finished picture."""

    drawn: "ImageDraw"

    def text(self, x: float, y: float, text: str, style: _Style, anchor: str = "ls") -> float:
        """Write a line on the baseline y; return its right end."""
        font = _font(style.font, style.size, style.weight)
        self.drawn.text((x * SCALE, y * SCALE), text, style.colour, font, anchor)
        return x + font.getlength(text) / SCALE

    def width(self, text: str, font: str, size: int, weight: int) -> float:
        return _font(font, size, weight).getlength(text) / SCALE

    def cut(self, text: str, style: _Style, width: float) -> str:
        """Return the text, shortened to what fits into a width."""
        while self.width(text, style.font, style.size, style.weight) > width:
            text = text[:-2] + "…"
        return text

    def shape(self, points: Iterable[Place], colour: str) -> None:
        self.drawn.polygon(_scaled(points), colour)

    def line(self, points: Iterable[Place], width: int, colour: str) -> None:
        self.drawn.line(_scaled(points), colour, width * SCALE)

    def block(self, start: Place, end: Place, colour: str) -> None:
        self.drawn.rounded_rectangle(_scaled((start, end)), 4 * SCALE, colour)

    def mark(self, who: str, middle: Place) -> None:
        """Draw the mark of a dumbbell as its style sheet does: filled for this version, open for the base."""
        x, y = middle
        if who == "claimed":
            self.line([(x, y - 17), (x, y + 17)], 3, SECOND)
            return
        radius = 11 if who == "adapter" else 9
        fill, edge = {"adapter": (ACCENT, CARD), "previous": (THIRD, CARD)}.get(who, (CARD, SECOND))
        box = _scaled([(x - radius, y - radius), (x + radius, y + radius)])
        draw = self.drawn.rectangle if who == "head" else self.drawn.ellipse
        draw(box, fill, edge, 3 * SCALE)


def _scaled(points: Iterable[Place]) -> list[Place]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _points(outline: str) -> list[Place]:
    """Return the corners of an outline of `shapes`, which is written M…L…L…Z."""
    corners = (corner.split() for corner in outline.strip("MZ").split("L"))
    return [(float(x), float(y)) for x, y in corners]


@cache
def _font(name: str, size: int, weight: int) -> "FreeTypeFont":
    from PIL import ImageFont  # noqa: PLC0415  # as above

    font = ImageFont.truetype(FONTS / name, size * SCALE)
    font.set_variation_by_axes([weight])
    return font


@require_safe
def share_image(request: HttpRequest, address: routing.RepositoryAddress) -> HttpResponse:
    """Send the picture of main as a stranger sees it. Raises RepositoryNotFound for what no stranger sees."""
    repository = lookup.find_at_address(address.full_name, NOBODY, type=address.type)
    if repository.is_quarantined:
        raise refusals.repository_not_found(address.full_name)
    header = shown_header(repository, "main", NOBODY)
    if header.revision.is_quarantined:
        raise refusals.repository_not_found(address.full_name)
    if not header.is_empty:
        header = reader_header(header)
    found = metrics(header.revision, header.proof)
    key = _key(header, found)
    answer = get_conditional_response(request, etag=f'"{key}"')
    if answer is None:
        answer = HttpResponse(_kept(header, found, key), content_type="image/png")
        answer["ETag"] = f'"{key}"'
    answer["Cache-Control"] = "public, max-age=300"
    return answer


def _key(header: RepositoryHeader, found: Metrics) -> str:
    """Return a digest of what decides about the picture: the verdict, the version, its state and the hub's release."""
    verdict = header.proof.document if header.proof else None
    repository, revision = header.repository, header.revision
    version = (repository.type, repository.full_name, revision.oid, revision.is_yanked)
    said = verdict and (verdict.state, verdict.finished_at)
    parts = (VERSION, *version, said, bool(found.regression))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _kept(header: RepositoryHeader, found: Metrics, key: str) -> bytes:
    """Return the picture, drawn once for a key while no other one takes its slot."""
    slot, cache = f"share-image:{zlib.crc32(key.encode()) % SLOTS}", caches["default"]
    known, encoded = cache.get(slot) or ("", "")
    if known == key:
        return base64.b64decode(encoded)
    with translation.override(settings.LANGUAGE_CODE):  # one picture for readers of all languages
        png = _image(header, found).png()
    cache.set(slot, (key, base64.b64encode(png).decode()), KEPT_SECONDS)
    return png


def _image(header: RepositoryHeader, found: Metrics) -> ShareImage:
    repository, described = header.repository, header.described
    kind = kind_name(described["kind"] or "")
    facts = (
        last_part(described["base"] or ""),
        f"{kind} r{described['rank']}" if kind and described["rank"] else kind,
        spaced(described["task"] or ""),
        "" if header.is_empty else size(header.size),
        "" if repository.type == "model" else repository.type,
    )
    proof = header.proof
    if proof is None:
        return ShareImage(repository.namespace.name, repository.name, facts)
    measured = found.headline
    return ShareImage(
        repository.namespace.name,
        repository.name,
        facts,
        state="yanked" if header.revision.is_yanked else state_words(proof.document),
        state_class="failed" if header.revision.is_yanked else state_class(proof.document),
        checks=proof.tally,
        areas=proof.areas,
        metric=measured.metric.capitalize() if measured else "",
        dumbbell=measured.picture if measured else None,
        numbers=_numbers(measured) if measured else (),
    )


def _numbers(measured: Measured) -> list[tuple[str, str, str]]:
    marks = sorted(
        (mark for mark in measured.picture.marks if mark.who in LEGEND), key=lambda mark: list(LEGEND).index(mark.who)
    )
    numbers = []
    for mark in marks[:LEGEND_MARKS]:
        label, value = LEGEND[mark.who], number(mark.value)
        if mark.who == "base":
            label = measured.baseline
        if mark.who == "claimed" and measured.claimed_on:
            label = "claimed elsewhere"
        if mark.who == "adapter" and measured.interval:
            value += f" ({number(measured.interval[0])} to {number(measured.interval[1])})"
        numbers.append((mark.who, label, value))
    return numbers


def _named(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the whole address of the picture; a private repository has none."""
    repository = page["header"].repository
    return None if repository.private else {"image": phrases.absolute(reverse("share-image", args=[repository]))}


PAGES = Pages(
    routes=[routing.at("<repository:address>/share.png", share_image, "share-image")],
    panels=(Panel("meta", "share_images/meta.html", _named),),
)
