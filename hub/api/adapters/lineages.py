"""The lineage of an adapter: what it was made from, what was made of it, and what holds or names it."""

from collections.abc import Iterable
from typing import Annotated

from rest_framework.request import Request

from dovetail.answers.record import Answer
from dovetail.answers.versions import Yanked
from hub.api import pages
from hub.api.records import operation
from hub.api.versions.lifecycle import yank_of
from hub.api.views import View
from hub.shared import lineage
from registry.kernel.policy import Permission
from registry.proof.weights.passports import Relative
from registry.publish.made.lineage import Step
from registry.repos import lookup, pull
from registry.repos.refs import MAIN


class NamedBase(Answer):
    id: Annotated[str, "as this hub knows it"]
    named: Annotated[str, "as the adapter names it"]
    adapter: Annotated[str | None, "the repository here of that name"]


class LineageStep(Answer):
    source: str
    result: str
    method: Annotated[str, "of the newest version of the result that the hub made of the source"]


class OwnForm(Answer):
    method: str
    revision: str


class WeightCopy(Answer):
    adapter: str
    revision: str
    path: str
    cosine: Annotated[float, "of the weights; rounded down to tenths behind a gate that you have not passed"]
    copy: Annotated[bool, "the same weights, perhaps under another scale, dtype or names"]
    original: Annotated[bool, "of a copy: its weights were pushed to this hub before those of this adapter"]
    yanked: Annotated[Yanked | None, "of the revision"]


class AdapterLineage(Answer):
    bases: tuple[NamedBase, ...]
    made_from: tuple[LineageStep, ...]
    made_from_left_out: int
    made_of_it: tuple[LineageStep, ...]
    made_of_it_left_out: int
    other_forms: Annotated[tuple[OwnForm, ...], "in the adapter's own repository"]
    copies: tuple[WeightCopy, ...]
    named_by: Annotated[tuple[str, ...], "adapters whose cards name it as their base"]
    collections: Annotated[tuple[str, ...], "slugs"]


class OneLineage(View):
    @operation("adapter_lineage")
    def get(self, request: Request, ns: str, name: str) -> AdapterLineage:
        """What an adapter was made from, and what was made of it.

        As far as you find it in lists, over three steps; `…_left_out` steps more found no room.
        """
        pages.parameters(request, pages.Nothing)
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.READ)
        main = pull.resolve_pulled(repository, MAIN, self.viewer)
        pull.require_shown(main, self.caller)
        found = lineage.read(repository, {} if main.is_expired else pull.entries(main), self.caller)
        return AdapterLineage(
            bases=tuple(
                NamedBase(id=base.id, named=base.name, adapter=str(base.repository) if base.repository else None)
                for base in found.bases
            ),
            made_from=_steps(found.made_from.items),
            made_from_left_out=found.made_from.left_out,
            made_of_it=_steps(found.made_of_it.items),
            made_of_it_left_out=found.made_of_it.left_out,
            other_forms=tuple(
                OwnForm(method=form.method, revision=form.revision.oid) for form in found.other_forms if form.revision
            ),
            copies=tuple(_copy(one) for one in found.copies),
            named_by=tuple(repository.full_name for repository in found.named_by.items),
            collections=tuple(one.slug for one in found.lists.items),
        )


def _steps(steps: Iterable[Step]) -> tuple[LineageStep, ...]:
    return tuple(
        LineageStep(source=step.source.full_name, result=step.result.full_name, method=step.method) for step in steps
    )


def _copy(one: Relative) -> WeightCopy:
    return WeightCopy(
        adapter=one.revision.repository.full_name,
        revision=one.revision.oid,
        path=one.place.path,
        cosine=one.cosine,
        copy=one.is_copy,
        original=one.is_original,
        yanked=yank_of(one.revision),
    )
