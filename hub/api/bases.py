"""The base models that adapters name or the base cache holds, and their adapters."""

from collections.abc import Mapping
from typing import Annotated

from rest_framework.request import Request

from dovetail.answers.adapters import AdapterPage
from dovetail.answers.record import Answer, Page, Time
from hub.api import adapters, pages
from hub.api.records import of_row, operation, text_of
from hub.api.views import View
from registry import models
from registry.kernel.errors import BaseNotFound
from registry.repos import bases
from registry.repos.lists import catalog, tallies
from registry.repos.lists.tallies import BaseLine


class Duties(Answer):
    """Duties that the license of a base puts on its adapters; no legal advice."""

    needs_notice: bool
    non_commercial: bool
    share_alike: bool
    needs_name_prefix: Annotated[str | None, "how the name of an adapter has to begin"]


class Base(Answer):
    id: str
    adapters: Annotated[int, "how many you may see name it, by any of its names"]
    on_shelf: Annotated[bool, "false with a revision: known by its config alone, fitted to and never run"]
    revision: str | None
    sha256: str | None
    size: int | None
    license: str | None


class BaseDetail(Base):
    """One base with all that is known of it."""

    aliases: Annotated[tuple[str, ...], "other names that mean it here, also of quantised copies"]
    duties: Annotated[Duties | None, "null: nobody knows the license"]
    files: Annotated[Mapping[str, str], "path → sha256"]
    source: str | None
    added_at: Time | None
    asked_by: Annotated[int, "how many people ask the administrators for it"]
    model_type: str | None
    tasks: Annotated[tuple[str, ...], "for which adapters can be fitted to it"]


class Bases(View):
    @operation("bases", query=pages.Paging, callers="anyone")
    def get(self, request: Request) -> Page[Base]:
        """Base models."""
        asked = pages.parameters(request, pages.Paging)
        page = tallies.list_bases(self.caller, cursor=asked.get("cursor", ""), limit=asked["limit"])
        return pages.page(request, [line(base) for base in page.items], page.next)


class OneBase(View):
    @operation("base", callers="anyone")
    def get(self, request: Request, base: str) -> BaseDetail:
        """One base model, by any of its names."""
        pages.parameters(request, pages.Nothing)
        found = find_base(self, base)
        return _detail(found)


class Adapters(View):
    @operation("base_adapters", query=pages.Paging, callers="anyone")
    def get(self, request: Request, base: str) -> AdapterPage:
        """Adapters of a base, the newest first.

        By any of its names; `/adapters?base=` takes more filters.
        """
        asked = pages.parameters(request, pages.Paging)
        query = catalog.Query(base=[find_base(self, base).id], only_verified=self.viewer.only_verified)
        page = catalog.search(self.caller, query, cursor=asked.get("cursor", ""), limit=asked["limit"])
        items = [adapters.line(repository, page.verdicts.get(repository.pk)) for repository in page.items]
        shown = pages.page(request, items, page.next)
        return AdapterPage(items=shown.items, next=shown.next)


def find_base(view: View, name: str) -> BaseLine:
    """Return a base by any of its names, and how many adapters the caller sees. Raises BaseNotFound."""
    row = bases.find_base(name)
    id = row.id if row else bases.canonical_name(name)
    count = tallies.count_matches(view.caller, catalog.Query(base=[id]))
    if row is None and not count:
        raise BaseNotFound(
            f"Unknown base model {name[:200]!r}: no adapter here uses it, and it is not in the base cache."
        )
    return BaseLine(id, count, row)


def line(found: BaseLine) -> Base:
    """Return what lists say of a base."""
    base = found.base
    return Base(
        id=found.id,
        adapters=found.adapters,
        on_shelf=base is not None and base.has_weights,
        revision=base.revision if base else None,
        sha256=base.sha256 if base else None,
        size=base.size if base else None,
        license=bases.license_of(base, found.id) or None,
    )


def _detail(found: BaseLine) -> BaseDetail:
    base = found.base
    asks = bases.license_duties(bases.license_of(base, found.id))
    return BaseDetail(
        **line(found).as_json(),
        aliases=tuple(bases.names_of(base)) if base else (),
        duties=of_row(Duties, asks, needs_name_prefix=asks.needs_name_prefix or None) if asks else None,
        files=base.files if base else {},
        source=_source(base) if base else None,
        added_at=text_of(base.added_at) if base else None,
        asked_by=len(bases.asking_for(found.id)),
        model_type=str(base.config.get("model_type") or "") or None if base else None,
        tasks=tuple(sorted(base.manifests.values_list("task", flat=True).distinct())) if base else (),
    )


def _source(base: models.Base) -> str:
    """The source of a base; a folder of the operators is nobody else's business."""
    return base.source.partition(" ")[0] if base.source.startswith(("path ", "config ")) else base.source
