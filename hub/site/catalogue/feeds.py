"""Atom feeds (RFC 4287): of a search, which a person saves in this way, and of a repository's versions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.http import require_safe

from hub import list_parameters
from hub.addresses import origin
from hub.list_parameters import ROUTES
from hub.site.catalogue.catalogue import NOUNS
from hub.site.lists import ListRow, rows_of
from hub.site.proof import document
from hub.site.repository.repository_header import RepositoryHeader, repository_page
from hub.site.visitor import caller
from registry.kernel.errors import ValueInvalid
from registry.models import Revision, Verdict
from registry.repos import histories
from registry.repos.lists import catalog
from registry.repos.lists.catalog import Query

MAX_VERSIONS = 30
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a feed; its path is its id too."""

    title: str
    path: str
    summary: str
    updated_at: datetime


@require_safe
def search(request: HttpRequest, type: str) -> HttpResponse:
    """Return the first page of a search; its parameters are those of the catalogue's own address.

    Raises ValueInvalid for a wrong one: a feed has no place to say so, and would bring what nobody asked for.
    """
    asked = list_parameters.forgiving(request.GET, type)
    if asked.problems:
        raise ValueInvalid(" ".join(asked.problems))
    query = asked.query if "sort" in asked.params else replace(asked.query, sort=Query.sort)  # the newest first
    rows = rows_of(catalog.search(caller(request), query))
    title = f"{NOUNS[type].capitalize()}s" + (f" for “{query.q}”" if query.q else "")
    page = f"{reverse(ROUTES[type])}?{request.GET.urlencode()}".rstrip("?")
    return feed(request, title, page, (_search_entry(row) for row in rows))


@repository_page
def versions(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Return the newest versions of a repository, each with its verdict."""
    revisions = [] if header.is_empty else histories.newest(header.revision, MAX_VERSIONS)
    newest = {row.revision_id: row for row in Verdict.objects.filter(revision__in=revisions).order_by("number")}
    entries = [_version_entry(revision, newest.get(revision.pk)) for revision in revisions]
    return feed(request, header.repository.full_name, header.repository.get_absolute_url(), entries)


def _search_entry(row: ListRow) -> Entry:
    state = f"{row.verdict.report.state}. " if row.verdict else ""
    summary = f"{state}{row.headline}{f', {row.beside}' if row.beside else ''}"
    return Entry(row.repository.full_name, row.repository.get_absolute_url(), summary, row.repository.updated_at)


def _version_entry(revision: Revision, verdict: Verdict | None) -> Entry:
    if verdict is None:
        return Entry(revision.title, revision.get_absolute_url(), "", revision.created_at)
    report = document(verdict).report
    summary = f"{report.state}. {report.refusal.message if report.refusal else ''}".strip()
    return Entry(revision.title, revision.get_absolute_url(), summary, verdict.finished_at or revision.created_at)


def feed(request: HttpRequest, title: str, page: str, entries: Iterable[Entry]) -> HttpResponse:
    here = origin(request)
    atom = Atom1Feed(
        title=f"{_printable(title)} · Dovetail",
        link=here + page,
        description="",
        feed_url=here + request.get_full_path(),
    )
    for entry in entries:
        link = here + entry.path
        title, summary = _printable(entry.title), _printable(entry.summary)
        atom.add_item(title, link, summary, updateddate=entry.updated_at, unique_id=link)
    answer = HttpResponse(atom.writeString("utf-8"), content_type=atom.content_type)
    answer["Cache-Control"] = "private, max-age=60"  # a reader who is signed in sees more
    return answer


def _printable(text: str) -> str:
    """Return a text that XML can hold: a search, and what a report quotes of a file, may have control characters."""
    return CONTROLS.sub(" ", text)
