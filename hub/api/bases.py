"""The base models that adapters name or the base cache holds: one with all that is known of it, and its adapters."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.adapters import adapters
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes import bases as shapes
from hub.api.shapes.adapters.adapters import AdapterPage
from registry.kernel.errors import BaseNotFound
from registry.models import Base, Repository, Verdict
from registry.proof import scores
from registry.repos import bases
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import Query
from registry.repos.lists.tallies import BaseLine
from registry.talk import watching


class Bases(View):
    @extend_schema(operation_id="bases", summary="Base models", parameters=[pages.Paging], responses=shapes.BasePage)
    def get(self, request: Request) -> Response:
        asked = pages.parameters(request, pages.Paging)
        page = tallies.list_bases(self.caller, cursor=asked.get("cursor", ""), limit=asked["limit"])
        return Response(pages.page(request, [line(base) for base in page.items], page.next))


class OneBase(View):
    @extend_schema(operation_id="base", summary="One base model, by any of its names", responses=shapes.BaseDetail)
    def get(self, request: Request, base: str) -> Response:
        pages.parameters(request, pages.Nothing)
        found = _find(self, base)
        return Response(line(found) | _detail(found.id, found.base))


class Adapters(View):
    @extend_schema(
        operation_id="base_adapters", summary="Adapters of a base, the newest first", parameters=[pages.Paging],
        description="By any of its names; `/adapters?base=` takes more filters.", responses=AdapterPage,
    )  # fmt: skip
    def get(self, request: Request, base: str) -> Response:
        asked = pages.parameters(request, pages.Paging)
        query = Query(base=[_find(self, base).id], only_verified=self.viewer.only_verified)
        page = catalog.search(self.caller, query, cursor=asked.get("cursor", ""), limit=asked["limit"])
        items = [adapters.line(repository, page.verdicts.get(repository.pk)) for repository in page.items]
        return Response(pages.page(request, items, page.next))


class Leaderboard(View):
    @extend_schema(
        operation_id="leaderboard", summary="Measured adapters of a base, the greatest gain first",
        description="Of the deciding metric over the head alone or the frozen base, in the verdict of `verified`. Each "
        "gain is on rows of its own: what an adapter adds, not which of two is better.",
        parameters=[shapes.LeaderboardPaging], responses=shapes.LeaderboardPage,
    )  # fmt: skip
    def get(self, request: Request, base: str) -> Response:
        asked = pages.parameters(request, shapes.LeaderboardPaging)
        query = Query(base=[_find(self, base).id], task=asked.get("task", ()), sort="score", only_measured=True)
        page = catalog.search(
            self.caller, query, cursor=asked.get("cursor", ""), limit=asked["limit"], with_verdicts=False
        )
        measured = scores.verified_verdicts(page.items)
        items = [_rank(repository, measured[repository.pk]) for repository in page.items if repository.pk in measured]
        return Response(pages.page(request, items, page.next))


def _find(view: View, name: str) -> BaseLine:
    """Return a base by any of its names, and how many adapters the caller sees. Raises BaseNotFound."""
    row = bases.find_base(name)
    id = row.id if row else bases.canonical_name(name)
    count = tallies.count_matches(view.caller, Query(base=[id]))
    if row is None and not count:
        raise BaseNotFound(f"No adapter here names the base {name[:200]!r}, and it is not in the base cache.")
    return BaseLine(id, count, row)


def _rank(repository: Repository, verdict: Verdict) -> Data:
    return {
        "adapter": repository.full_name,
        "revision": verdict.revision.oid,
        "task": repository.task,
        "kind": repository.kind,
        "score": repository.score,
        "evals": [metric.as_json() for metric in verdict.report.evals],
        "finished_at": verdict.finished_at,
    }


def line(found: BaseLine) -> Data:
    """Return what lists say of a base."""
    base = found.base
    return {
        "id": found.id,
        "adapters": found.adapters,
        "on_shelf": base is not None and base.has_weights,
        "revision": base.revision if base else None,
        "sha256": base.sha256 if base else None,
        "size": base.size if base else None,
        "license": bases.license_of(base, found.id) or None,
    }


def _detail(id: str, base: Base | None) -> Data:
    asks = bases.license_duties(bases.license_of(base, id))
    keys = ("needs_notice", "non_commercial", "share_alike")
    return {
        "aliases": list(bases.names_of(base)) if base else [],
        "duties": {key: getattr(asks, key) for key in keys} | {"needs_name_prefix": asks.needs_name_prefix or None}
        if asks
        else None,
        "files": base.files if base else {},
        "source": _source(base) if base else None,
        "added_at": base.added_at if base else None,
        "asked_by": len(watching.asking_for(id)),
        "model_type": str(base.config.get("model_type") or "") or None if base else None,
        "tasks": sorted(base.manifests.values_list("task", flat=True).distinct()) if base else [],
    }


def _source(base: Base) -> str:
    """The source of a base; a folder of the operators is nobody else's business."""
    return base.source.partition(" ")[0] if base.source.startswith(("path ", "config ")) else base.source
