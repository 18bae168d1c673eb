"""Texts that people write in Markdown on pages of a repository, as safe HTML: comments, notes of releases, previews.

The people, discussions and commits that they name become links, for visitors who may see them.
"""

import re
import time
from collections.abc import Iterable, Mapping

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import linebreaks
from django.utils.safestring import SafeString, mark_safe

from hub.site.forms import Form
from hub.site.repository.repository_header import RepositoryHeader
from registry.kernel import policy
from registry.kernel.policy import Caller
from registry.kernel.texts.mentions import DiscussionReference, commit_references, discussion_references, mentions
from registry.models import Discussion, Namespace, Repository, Revision
from registry.repos.contents import card
from registry.repos.contents.facts import README

FOLDERS = {"datasets": Repository.Type.DATASET, "spaces": Repository.Type.SPACE}
MAX_ON_A_PAGE = 100  # of discussions, and of commits


def addresses(by: Caller, repository: Repository, texts: Iterable[str]) -> dict[str, str]:
    """Return written text → address for all that the texts name and the visitor may see; three queries at most."""
    texts = list(texts)
    return {
        **_people({name for text in texts for name in mentions(text)}),
        **_discussions(by, repository, {named for text in texts for named in discussion_references(text)}),
        **_commits(repository, {digits for text in texts for digits in commit_references(text)}),
    }


def _people(names: set[str]) -> dict[str, str]:
    if not names:
        return {}
    rows = Namespace.objects.filter(name__lower__in=names, person__is_active=True)
    return {f"@{name}": reverse("namespace", args=[name]) for name in rows.values_list("name", flat=True)}


def _discussions(by: Caller, repository: Repository, named: set[DiscussionReference]) -> dict[str, str]:
    if not named:
        return {}
    wanted: dict[tuple[str, str, int], list[str]] = {}
    for reference in sorted(named, key=lambda reference: reference.written)[:MAX_ON_A_PAGE]:
        where = _place(reference, repository)
        wanted.setdefault((*where, reference.number), []).append(reference.written)
    condition = Q()
    for type_, full_name, number in wanted:
        ns, name = full_name.split("/")
        condition |= Q(
            repository__type=type_, repository__namespace__name__lower=ns, repository__name__lower=name, number=number
        )
    rows = Discussion.objects.filter(condition, policy.has_visible_repository(by))
    found: dict[str, str] = {}
    for row in rows.select_related("repository__namespace"):
        key = (row.repository.type, row.repository.full_name.lower(), row.number)
        found |= dict.fromkeys(wanted.get(key, ()), row.get_absolute_url())
    return found


def _place(reference: DiscussionReference, here: Repository) -> tuple[str, str]:
    """Return the type and the name in lower case of the repository that a reference means."""
    if not reference.repository:
        return here.type, here.full_name.lower()
    *folder, ns, name = reference.repository.split("/")
    return (FOLDERS[folder[0]] if folder else Repository.Type.MODEL), f"{ns}/{name}".lower()


def _commits(repository: Repository, digits: set[str]) -> dict[str, str]:
    """Return the commits of this repository alone; digits that begin two of them name none."""
    if not digits:
        return {}
    condition = Q()
    for start in sorted(digits)[:MAX_ON_A_PAGE]:
        condition |= Q(oid__startswith=start)
    revisions = Revision.objects.filter(condition, repository=repository, quarantined_at__isnull=True)
    oids = list(revisions.values_list("oid", flat=True)[: 2 * MAX_ON_A_PAGE])
    found: dict[str, str] = {}
    for start in digits:
        matching = [oid for oid in oids if oid.startswith(start)]
        if len(matching) == 1:
            found[start] = reverse("commit", args=[repository, matching[0]])
    return found


PATIENCE_SECONDS = 4.0  # with all texts of a page together
# Without any of these a text means itself in Markdown.
_MARKED = re.compile(r"[*_`#<>\[\]()!|~\\&]|^\s*(?:[-+=]|\d+[.)])|^ {4}|\t", re.MULTILINE)


def html_of_texts(header: RepositoryHeader, texts: Mapping[int, str]) -> dict[int, SafeString]:
    """Return texts as safe HTML by their keys.

    They are rendered in their order until the time is up; the rest stay plain.
    The next visitor finds the rendered ones in the cache and goes on, so no page of hostile texts takes minutes.
    """
    links = addresses(header.by, header.repository, texts.values())
    started = time.monotonic()
    return {
        key: _html(header, text, links, only_known=time.monotonic() - started > PATIENCE_SECONDS)
        for key, text in texts.items()
    }


def html_of_text(header: RepositoryHeader, text: str) -> SafeString:
    """Return one text as safe HTML."""
    return html_of_texts(header, {0: text})[0]


def is_preview(request: HttpRequest) -> bool:
    """Return whether a form was sent by its button Preview, and nothing is to be done yet."""
    return "preview" in request.POST


def preview(request: HttpRequest, header: RepositoryHeader, form: Form, field: str) -> SafeString:
    """Return a field of a form as safe HTML if its preview is asked for, else ""."""
    if not is_preview(request) or not form.is_valid():
        return SafeString("")
    return html_of_text(header, form.cleaned_data[field])


def page_or_preview(request: HttpRequest, template: str, context: dict[str, object], status: int) -> HttpResponse:
    """Return a page with a form; where a script asks for the preview, the part of the page that shows it."""
    if is_preview(request) and request.headers.get("HX-Request"):
        return render(request, "site/parts/preview.html", {"html": context["html"]})
    return render(request, template, {"previews": True, **context}, status=status)


def _html(header: RepositoryHeader, text: str, links: Mapping[str, str], *, only_known: bool) -> SafeString:
    if not text:
        return SafeString("")
    lower = text.lower()
    named = {written: address for written, address in links.items() if written.lower() in lower}
    if not named and not _MARKED.search(text):
        return mark_safe(linebreaks(text, autoescape=True))  # noqa: S308  # escaped
    files, pages = card_links(header.repository, "main")
    html = card.render_card(text, files=files, pages=pages, references=named, only_known=only_known)
    return mark_safe(html)  # noqa: S308  # the card's allow-list


def card_links(repository: Repository, revision: str) -> tuple[str, str]:
    """Return the base addresses of relative addresses in a card: of pictures (its files), of links (its pages)."""
    page = reverse("blob", args=[repository, revision, README])
    return repository.file_url(revision, ""), page.removesuffix(README)
