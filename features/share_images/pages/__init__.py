"""Where the picture is served, and named by the pages of a repository."""

import base64
import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from features.share_images.pages.drawing import ShareImage
from hub.about import VERSION
from hub.site import routing
from hub.site.measures import number, size
from hub.site.panels import Pages, Panel
from hub.site.proof import Measured, Metrics, metrics
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import reader_header, served_header, shown_header
from hub.site.routing import RepositoryAddress
from hub.site.templatetags.dovetail import kind_name, last_part, spaced, state_class, state_words
from registry.kernel import refusals
from registry.kernel.policy import NOBODY
from registry.kernel.texts import phrases
from registry.repos import lookup

SLOTS = 512  # pictures that are kept, some 14 MB of the shared cache; each of a verdict has its slot, and may lose it
KEPT_SECONDS = 7 * 24 * 3600
LEGEND = {"adapter": "this version", "base": "base", "previous": "before", "claimed": "claimed"}
LEGEND_MARKS = 3


@require_safe
def share_image(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Send the picture of main as a stranger sees it. Raises RepositoryNotFound for what no stranger sees."""
    repository = lookup.find_at_address(address.full_name, NOBODY, type=address.type)
    if repository.is_quarantined:
        raise refusals.repository_not_found(address.full_name)
    header = shown_header(repository, "main", NOBODY)
    if header.revision.is_quarantined:
        raise refusals.repository_not_found(address.full_name)
    if not header.is_empty:
        header = served_header(reader_header(header))
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
    measured = next(iter(found.headlines), None)
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
