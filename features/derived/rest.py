"""Derived versions: conversions and merges that the hub makes, and the lineage of a revision."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters.merge import Recipe
from dovetail.answers.adapters import DerivedSource, DerivedVersion
from dovetail.answers.record import Answer
from dovetail.answers.versions import Yanked
from features.derived import lineage, models, verbs
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation, yank_of
from hub.api.views import View, resolved
from registry.kernel import policy
from registry.kernel.errors import RepositoryNotFound, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Revision
from registry.proof.verdicts import requests
from registry.repos import lookup, pull
from registry.repos.contents import stored_facts
from registry.repos.digests import Relative
from registry.repos.refs import MAIN


class Other(s.Serializer[Data]):
    adapter = Text(max_length=200, help_text="namespace/name")
    revision = Text(required=False, default="main", max_length=200, help_text="a branch, a tag, an alias or a commit")
    weight = s.FloatField(required=False, default=1.0)


class DeriveBody(s.Serializer[Data]):
    """Either `to`, a format or variant; or `method` and `others`, a merge of this version with others."""

    to = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=16,
        help_text="peft, kohya, diffusers, mlx, gguf, safetensors, bin, fp16, bf16, slim or peft-lora",
    )
    method = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=16,
        help_text="linear, cat, svd, ties, dare_linear or dare_ties",
    )
    others = Other(many=True, required=False, default=list)
    weight = s.FloatField(required=False, default=1.0, help_text="of this version in a merge")
    density = s.FloatField(required=False, default=1.0, help_text="ties, dare: the share of values that is kept")
    rank = s.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=1024,
        help_text="svd, peft-lora, and of LyCORIS; 0: of svd the largest",
    )
    seed = s.IntegerField(required=False, default=0, min_value=0, max_value=2**31 - 1, help_text="dare")
    head = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=200,
        help_text="of trained heads: namespace/name of the adapter whose head is kept, its number, or average",
    )
    alpha = s.FloatField(
        required=False,
        allow_null=True,
        default=None,
        help_text="of loralib: its alpha; without it lora_alpha of the card",
    )
    enable_lora = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=48,
        help_text="of loralib: true or false for each part of a merged linear; without it enable_lora of the card",
    )
    into = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=200,
        help_text="namespace/name whose next version the result is; a merge needs one",
    )


class Lineage(Answer):
    made_of: Annotated[DerivedVersion | None, "how this version was derived; null where somebody pushed it"]
    derived: Annotated[tuple[DerivedVersion, ...], "what was derived of it, newest first"]


class Derive(View):
    @operation("derive", body=DeriveBody, answers={202: DerivedVersion, 200: DerivedVersion}, example={"to": "mlx"})
    def post(self, request: Request, ns: str, name: str, rev: str) -> Response:
        """Derive a version.

        The same adapter in another format or precision, or a merge with others. It needs the right to download the
        sources and to write to the target. 202: it is being made, and `lineage` says what became of it; 200: the same
        was asked for before, and is done. The original stays what it is.
        """
        pages.parameters(request, pages.Nothing)
        revision = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        self.person()
        if not (isinstance(request.data, dict) and request.data.get("into")):
            policy.require(self.caller, Permission.PUSH, revision.repository)  # the target, before anything is read
        body = pages.body(request, DeriveBody)
        derived = self._request(revision, body)
        derived = verbs.by_id(derived.pk)
        states = requests.states_in_force([derived.revision_id] if derived.revision_id else [])
        answer = _answer(derived, self.caller, states)
        return Response(answer, status.HTTP_200_OK if derived.is_final else status.HTTP_202_ACCEPTED)

    def _request(self, revision: Revision, wish: Data) -> models.DerivedVersion:
        if bool(wish["to"]) == bool(wish["method"]):
            raise ValueInvalid(
                "A derived version needs a format or a method.", fix="Send `to`, or `method` and `others`."
            )
        into = _into(wish["into"], self.caller) if wish["into"] else None
        if wish["to"]:
            asked = {key: wish[key] for key in ("alpha", "enable_lora", "rank") if wish[key]}
            return verbs.request_conversion(revision, wish["to"], self.caller, into, asked)
        origins = [verbs.Origin(revision, wish["weight"]), *map(self._origin, wish["others"])]
        head = verbs.chosen_head(wish["head"], origins)
        recipe = Recipe(wish["method"], wish["density"], wish["rank"], wish["seed"], head)
        return verbs.request_merge(origins, recipe, self.caller, _target(into))

    def _origin(self, other: Data) -> verbs.Origin:
        return verbs.find_origin(other["adapter"], other["revision"], other["weight"], self.viewer)


class OneLineage(View):
    @operation("lineage", callers="anyone")
    def get(self, request: Request, ns: str, name: str, rev: str) -> Lineage:
        """The revisions that a revision was derived from, and those derived from it."""
        pages.parameters(request, pages.Nothing)
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        origin, rows = verbs.made_of(revision), verbs.made_from(revision, self.caller)
        states = requests.states_in_force(row.revision_id for row in (origin, *rows) if row and row.revision_id)
        return Lineage(
            made_of=_answer(origin, self.caller, states) if origin else None,
            derived=tuple(_answer(row, self.caller, states) for row in rows),
        )


def _into(full_name: str, by: Caller) -> Repository:
    try:
        return lookup.find(full_name, by, Permission.BROWSE)
    except RepositoryNotFound as missing:
        fix = f"Create it first (`hf repos create {full_name}`), or name one that you may write to."
        raise RepositoryNotFound(missing.detail, fix, into=full_name) from None


def _target(into: Repository | None) -> Repository:
    if into is None:
        raise ValueInvalid("A merge needs a target repository.", fix="Send `into`, a repository that you may write to.")
    return into


def _answer(derived: models.DerivedVersion, by: Caller, states: Mapping[int, str]) -> DerivedVersion:
    """Return a derived version as our REST shows it; a source that the caller may not see has no name.

    `states` has the state of the newest verdict by the id of the revision.
    """
    facts = {name: derived.facts.get(name) for name in ("lossless", "largest_error", "tensor", "lost")}
    return of_row(
        DerivedVersion,
        derived,
        **facts,
        id=derived.pk,
        adapter=derived.repository.full_name,
        reason=derived.reason or None,
        revision=derived.revision.oid if derived.revision else None,
        verdict=states.get(derived.revision_id) if derived.revision_id else None,
        by=derived.by.username,
        sources=tuple(
            DerivedSource(
                adapter=source.current_name if is_shown else None,
                revision=source.oid if is_shown else None,
                weight=source.weight,
            )
            for source, is_shown in verbs.shown_sources(derived, by)
        ),
    )


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


class LineageOfAdapter(View):
    @operation("adapter_lineage", callers="anyone")
    def get(self, request: Request, ns: str, name: str) -> AdapterLineage:
        """The sources of an adapter, and the adapters that were made of it.

        As far as you find it in lists, over three steps; `…_left_out` steps more found no room.
        """
        pages.parameters(request, pages.Nothing)
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.READ)
        main = pull.resolve_pulled(repository, MAIN, self.viewer)
        pull.require_shown(main, self.caller)
        entries = {} if main.is_expired else pull.entries(main)
        stated = stored_facts.revision_facts(main, entries).bases
        found = lineage.read(repository, entries, stated, self.caller)
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


def _steps(steps: Iterable[lineage.Step]) -> tuple[LineageStep, ...]:
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


_AT = "adapters/<str:ns>/<str:name>"
_REVISION = f"{_AT}/revisions/<api_revision:rev>"
REST = [
    path(f"{_AT}/lineage", LineageOfAdapter.as_view(), name="rest-adapter-lineage"),
    path(f"{_REVISION}/derive", Derive.as_view(), name="rest-derive"),
    path(f"{_REVISION}/lineage", OneLineage.as_view(), name="rest-lineage"),
]
