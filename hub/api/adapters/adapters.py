"""Searching adapters, and the facts of one."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import adapters as shapes
from hub.api.versions import lifecycle
from registry.kernel import refusals
from registry.kernel.errors import RevisionNotFound
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Verdict
from registry.publish.retention import retiring
from registry.repos import eligibility, lookup, pull, refs
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import ListedVerdict


class Adapters(View):
    @extend_schema(
        operation_id="search", summary="Search adapters", parameters=[shapes.SearchPaging], responses=shapes.AdapterPage
    )
    def get(self, request: Request) -> Response:
        asked = pages.parameters(request, shapes.SearchPaging)
        cursor, limit, with_facets = asked.pop("cursor", ""), asked.pop("limit"), asked.pop("facets")
        query = catalog.with_known_bases(catalog.Query(**asked, only_verified=self.viewer.only_verified))
        results = catalog.search(self.caller, query, cursor=cursor, limit=limit)
        items = [line(repository, results.verdicts.get(repository.pk)) for repository in results.items]
        answer = pages.page(request, items, results.next)
        if with_facets:
            tally = tallies.tally(self.caller, query)
            answer["facets"] = {
                name: [{"value": value, "count": n} for value, n in values] for name, values in tally.commonest.items()
            }
            answer["facets_at_least"] = tally.is_capped
        return Response(answer)


class OneAdapter(View):
    @extend_schema(operation_id="adapter", summary="One adapter", responses=shapes.AdapterDetail)
    def get(self, request: Request, ns: str, name: str) -> Response:
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE)
        try:  # what is said of an adapter is what main says
            main = pull.resolve(repository, "main")
            pull.require_shown(main, self.caller)
        except RevisionNotFound:
            raise refusals.repository_not_found(f"{ns}/{name}") from None
        verdict = catalog.listed_verdicts([repository]).get(repository.pk)
        states = lifecycle.state_of(repository) | {"yanked": lifecycle.yank_state(main)["yanked"]}
        kinds = {"kinds": _kinds(repository, verdict)}
        return Response(line(repository, verdict) | kinds | states | _names(repository, self.caller))


def line(repository: Repository, listed: ListedVerdict | None) -> Data:
    """Return what lists say of an adapter."""
    return {
        "id": repository.full_name,
        "author": repository.namespace.name,
        "private": repository.private,
        "summary": repository.summary,
        "format": repository.format,
        "kind": repository.kind,
        "base": repository.base,
        "task": repository.task,
        "license": repository.license,
        "rank": repository.rank,
        "size": repository.size,
        "tags": repository.tags,
        "downloads": repository.downloads,
        "likes": repository.likes,
        "gated": repository.gated or None,
        "created_at": repository.created_at,
        "updated_at": repository.updated_at,
        "verdict": _short(listed.verdict) if listed else None,
        "newest": _newest(listed.newest) if listed and listed.newest else None,
        "status": retiring.status_of(repository),
        "yanked": lifecycle.yank_state((listed.newest or listed.verdict).revision)["yanked"] if listed else None,
    }


def _newest(verdict: Verdict) -> Data:
    """Return the note about a newer version than the one that lists show."""
    failed = [check.id for check in verdict.report.checks if check.outcome == "failed"] if verdict.is_final else []
    return {"revision": verdict.revision.oid, "state": verdict.state, "checks": failed}


def _short(verdict: Verdict) -> Data:
    return {"revision": verdict.revision.oid, "state": verdict.state, "finished_at": verdict.finished_at}


def _kinds(repository: Repository, listed: ListedVerdict | None) -> list[str]:
    """Return the kinds of all adapters in a repository: lists have that of the one nearest to the top."""
    contents = listed.verdict.report.contents if listed else ()
    return sorted({repository.kind, *(one.kind for one in contents)} - {"", None})


def _names(repository: Repository, by: Caller) -> Data:
    """Return what points at revisions: main, verified, branches, tags, aliases."""
    named = {ref.name: ref.revision for ref in pull.shown_refs(repository, by)}
    at = {name: revision.oid for name, revision in named.items()}
    verified = named.get(refs.VERIFIED)
    return {
        "latest": at.get(refs.MAIN),
        "verified": at.get(refs.VERIFIED),
        "verified_is_run": eligibility.of_revision(verified).is_run if verified else None,
        "branches": _below(refs.BRANCHES, at),
        "revision_tags": _below(refs.TAGS, at),
        "aliases": _below(refs.ALIASES, at),
    }


def _below(prefix: str, at: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix(prefix): oid for name, oid in at.items() if name.startswith(prefix)}
