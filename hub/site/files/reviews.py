"""The page between uploading and committing: what the files are, what to fix first, their card, and the commit."""

from collections.abc import Iterator, Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.site.files.changing import commit, landed, ref_of, words_for
from hub.site.forms.files import CardFields
from hub.site.repository.repository_header import RepositoryHeader, card_links
from registry.models import Repository
from registry.publish import repositories, staging
from registry.publish.push import Inline, Operation
from registry.publish.staging import Staged
from registry.publish.uploads import examining
from registry.publish.uploads.examining import Examination
from registry.repos import pull, refs
from registry.repos.contents import card
from registry.repos.contents.card import Card
from registry.repos.contents.facts import README
from registry.repos.manifest import Entry

NO_ADAPTER = Examination(None)
MAX_SHOWN = 200  # files


def review(request: HttpRequest, header: RepositoryHeader, staged: Sequence[Staged]) -> HttpResponse:
    """Show what the staged files are, or commit them with their card if the person says so."""
    planned = staging.entries(header.repository, ref_of(header), staged, header.by)
    entries = _readable(header, staged, planned)
    words = words_for(request, header, _title(header, staged))
    fields = _card_fields(request, header, staged, entries)
    changed = _card(fields)
    if request.headers.get("HX-Request"):
        return render(request, "site/parts/preview.html", {"html": _preview(header, changed)})
    if "commit" in request.POST and words.is_valid() and (fields is None or fields.is_valid()):
        with words:
            ref = commit(header, words, _operations(staged, planned, changed))
            if header.is_empty and ref.name == refs.MAIN and visibility(request) == "public":
                repositories.publish_first(header.repository, header.by)
            return landed(request, header, ref)
    shown = {
        "header": header,
        "tab": "files",
        "words": words,
        "visibility": visibility(request),
        "fields": fields,
        "staged": staged[:MAX_SHOWN],
        "more": max(0, len(staged) - MAX_SHOWN),
        "staged_list": staging.listed(staged),
        "size": sum(file.size for file in staged),
        "replaced": {file.path for file in staged if file.path in header.entries},
        "examined": _examine(header, entries, changed),
        "html": _preview(header, changed) if "preview" in request.POST else "",
    }
    return render(request, "site/review.html", shown, status=words.status)


def visibility(request: HttpRequest) -> str:
    """Return who may see a new repository after its first commit, as its maker chose: public, private, or ""."""
    chosen = request.POST.get("visibility") or request.GET.get("visibility")
    return chosen if chosen in ("public", "private") else ""


def _title(header: RepositoryHeader, staged: Sequence[Staged]) -> str:
    if header.is_empty:
        return "First version"
    return f"Add {staged[0].path}" if len(staged) == 1 else f"Add {len(staged)} files"


def _card_fields(
    request: HttpRequest, header: RepositoryHeader, staged: Sequence[Staged], entries: dict[str, Entry]
) -> CardFields | None:
    """Return the form of the card; None where one is there that these files do not touch."""
    own = next((file for file in staged if file.path == README), None)
    if own is None and README in header.entries:
        return None
    readme = own if own and own.size <= card.MAX_CARD_BYTES else None
    parsed = card.parse_card(staging.read(readme).decode("utf-8", "replace")) if readme else Card()
    described = header.repository.type == Repository.Type.MODEL and examining.describe(entries)
    base, task = (described.base or "", described.task or "") if described else ("", "")
    return CardFields(request.POST, parsed, base=base, task=task)


def _card(fields: CardFields | None) -> dict[str, bytes]:
    """Return the README as it was filled in; nothing where the fields are as they were."""
    if fields is None or not fields.is_valid() or not fields.is_changed:
        return {}
    return {README: card.write_card(fields.front_matter, fields.body).encode("utf-8", "replace")}


def _operations(staged: Sequence[Staged], planned: dict[str, Entry], changed: dict[str, bytes]) -> Iterator[Operation]:
    yield from staging.operations((file for file in staged if file.path not in changed), planned)
    for path, content in changed.items():
        yield Inline(path, content)


def _examine(header: RepositoryHeader, entries: dict[str, Entry], changed: dict[str, bytes]) -> Examination:
    if header.repository.type != Repository.Type.MODEL:
        return NO_ADAPTER
    return examining.examine(entries, changed)


def _readable(header: RepositoryHeader, staged: Sequence[Staged], entries: dict[str, Entry]) -> dict[str, Entry]:
    """Return the files that the person may have: checks, and the fields of a card, tell what is in them."""
    if pull.may_have_files(header.revision, header.by):
        return entries
    return {file.path: entries[file.path] for file in staged}


def _preview(header: RepositoryHeader, changed: dict[str, bytes]) -> str:
    text = card.parse_card(changed.get(README, b"").decode()).body
    files, pages = card_links(header.repository, header.revision.oid)
    return card.render_card(text, files=files, pages=pages) if text.strip() else ""
