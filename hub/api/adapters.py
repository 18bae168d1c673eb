"""Adapters in our REST: the list with its facets, one of them, downloads by day, and revisions found by a digest."""

from typing import Annotated, Any

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers import record
from dovetail.answers.adapters import Adapter, AdapterDetail, AdapterPage, FacetValue, NewestVersion, ShortVerdict
from dovetail.answers.record import Answer, RepositoryType
from dovetail.answers.versions import Yanked
from hub.api import pages
from hub.api.pages import Data, Paging
from hub.api.records import deprecation_of, of_row, operation, text_of, yank_of
from hub.api.views import View
from hub.list_parameters import Search, one_of
from registry.kernel import refusals
from registry.kernel.errors import RevisionNotFound
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Verdict
from registry.repos import digests, download_counts, eligibility, lookup, pull, refs
from registry.repos.digests import MAX_PLACES, Place
from registry.repos.lists import catalog, tallies


class SearchPaging(Search, Paging):
    facets = s.BooleanField(required=False, default=False, help_text="add counts to the page")


class Adapters(View):
    @operation("search", query=SearchPaging, callers="anyone")
    def get(self, request: Request) -> AdapterPage:
        """Search adapters."""
        asked = pages.parameters(request, SearchPaging)
        cursor, limit, with_facets = asked.pop("cursor", ""), asked.pop("limit"), asked.pop("facets")
        query = catalog.with_known_bases(catalog.Query(**asked, only_verified=self.viewer.only_verified))
        results = catalog.search(self.caller, query, cursor=cursor, limit=limit)
        items = [line(repository, results.verdicts.get(repository.pk)) for repository in results.items]
        page = pages.page(request, items, results.next)
        facets, is_capped = None, None
        if with_facets:
            tally = tallies.tally(self.caller, query)
            is_capped = tally.is_capped
            facets = {
                name: tuple(FacetValue(value=value, count=count) for value, count in values)
                for name, values in tally.commonest.items()
            }
        return AdapterPage(items=page.items, next=page.next, facets=facets, facets_at_least=is_capped)


class OneAdapter(View):
    @operation("adapter", callers="anyone")
    def get(self, request: Request, ns: str, name: str) -> AdapterDetail:
        """One adapter."""
        return detail(lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE), self.caller)


def detail(repository: Repository, caller: Caller) -> AdapterDetail:
    """Return all that is said of an adapter to a caller who may browse it. Raises RepositoryNotFound."""
    try:  # what is said of an adapter is what main says
        main = pull.resolve(repository, "main")
        pull.require_shown(main, caller)
    except RevisionNotFound:
        raise refusals.repository_not_found(repository.full_name) from None
    listed = catalog.listed_verdicts([repository]).get(repository.pk)
    named = {ref.name: ref.revision for ref in pull.shown_refs(repository, caller)}
    at = {name: revision.oid for name, revision in named.items()}
    verified = named.get(refs.VERIFIED)
    return AdapterDetail(
        **line(repository, listed).as_json() | {"yanked": yank_of(main)},
        kinds=_kinds(repository, listed),
        deprecated=deprecation_of(repository),
        archived_at=text_of(repository.archived_at),
        latest=at.get(refs.MAIN),
        verified=at.get(refs.VERIFIED),
        verified_is_run=eligibility.of_revision(verified).is_run if verified else None,
        branches=_below(refs.BRANCHES, at),
        revision_tags=_below(refs.TAGS, at),
        aliases=_below(refs.ALIASES, at),
    )


def line(repository: Repository, listed: catalog.ListedVerdict | None) -> Adapter:
    """Return what lists say of an adapter."""
    return of_row(
        Adapter,
        repository,
        id=repository.full_name,
        author=repository.namespace.name,
        gated=repository.gated or None,
        verdict=of_row(ShortVerdict, listed.verdict, revision=listed.verdict.revision.oid) if listed else None,
        newest=_newest(listed.newest) if listed and listed.newest else None,
        status=lookup.status_of(repository),
        yanked=yank_of((listed.newest or listed.verdict).revision) if listed else None,
    )


def _newest(verdict: Verdict) -> NewestVersion:
    """Return the note about a newer version than the one that lists show."""
    failed = tuple(check.id for check in verdict.report.failed) if verdict.is_final else ()
    return NewestVersion(revision=verdict.revision.oid, state=verdict.state, checks=failed)


def _kinds(repository: Repository, listed: catalog.ListedVerdict | None) -> tuple[str, ...]:
    """Return the kinds of all adapters in a repository: lists have that of the one nearest to the top."""
    contents = listed.verdict.report.contents if listed else ()
    return tuple(sorted({repository.kind, *(one.kind for one in contents)} - {"", None}))


def _below(prefix: str, at: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(prefix): oid for name, oid in at.items() if name.startswith(prefix)}


SPANS = (30, 90, 365)


class Days(s.Serializer[Data]):
    days = one_of(
        [str(span) for span in SPANS], required=False, default="30", help_text="the last 30, 90 or 365 days, with today"
    )


class Day(record.Answer):
    day: Annotated[record.Day, "in UTC"]
    downloads: int


class Downloads(record.Answer):
    """A caller counts once an hour, however many files they fetch; counts are some minutes old."""

    adapter: Annotated[str, "namespace/name"]
    all_time: int
    sum: Annotated[int, "of the days below"]
    days: Annotated[tuple[Day, ...], "each day of the span, the oldest first, today last"]


class DownloadsByDay(View):
    @operation("downloads", query=Days, callers="anyone")
    def get(self, request: Request, ns: str, name: str) -> Downloads:
        """Downloads by day."""
        days = int(pages.parameters(request, Days)["days"])
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE)
        counted = download_counts.by_day(repository, days)
        return Downloads(
            adapter=repository.full_name,
            all_time=repository.downloads,
            sum=sum(count for _, count in counted),
            days=tuple(Day(day=day.isoformat(), downloads=count) for day, count in counted),
        )


MAX_DIGESTS = 100


class Digest(s.RegexField):
    """A SHA-256 in hexadecimal, in any case; the answer has it in lower case."""

    def __init__(self, **options: Any) -> None:
        super().__init__(r"^[0-9A-Fa-f]{64}$", **options)
        self.error_messages["invalid"] = "Send 64 hex digits."

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise s.ValidationError(f"Send a JSON string, not {type(data).__name__}.")
        return str(super().to_internal_value(data)).lower()


class LookupBody(s.Serializer[Data]):
    """One of the two."""

    sha256 = s.ListField(child=Digest(), required=False, min_length=1, max_length=MAX_DIGESTS, help_text="of files")
    tensor_digest = s.ListField(
        child=Digest(),
        required=False,
        min_length=1,
        max_length=MAX_DIGESTS,
        help_text="of tensors: the same under another header",
    )

    def validate(self, attrs: Data) -> Data:
        if len(attrs) != 1:
            raise s.ValidationError("Send either sha256 or tensor_digest.")
        return attrs


class FilePlace(Answer):
    digest: Annotated[str, "the one that was asked for"]
    adapter: Annotated[str, "namespace/name"]
    type: RepositoryType
    revision: str
    path: str
    size: int
    sha256: Annotated[str, "of the file"]
    yanked: Annotated[Yanked | None, "of the revision"]


class LookupAnswer(Answer):
    items: tuple[FilePlace, ...]
    truncated: Annotated[bool, "there are more than these"]


class Lookup(View):
    @operation("lookup", body=LookupBody, callers="anyone", example={"sha256": ["0" * 64]})
    def post(self, request: Request) -> LookupAnswer:
        """Revisions that hold a file or its tensors.

        Either `sha256` or `tensor_digest`; the newest revisions first, at most 1,000 places.
        """
        pages.parameters(request, pages.Nothing)
        given = pages.body(request, LookupBody)
        if given.get("sha256"):
            places = digests.places_of_files(given["sha256"], self.caller)
        else:
            places = digests.places_of_tensors(given["tensor_digest"], self.caller)
        items = tuple(_place(place) for place in places[:MAX_PLACES])
        return LookupAnswer(items=items, truncated=len(places) > MAX_PLACES)


def _place(place: Place) -> FilePlace:
    revision = place.file.revision
    return FilePlace(
        digest=place.digest,
        adapter=revision.repository.full_name,
        type=revision.repository.type,
        revision=revision.oid,
        path=place.file.path,
        size=place.file.size,
        sha256=place.file.blob_id,
        yanked=yank_of(revision),
    )
