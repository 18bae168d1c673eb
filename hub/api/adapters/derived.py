"""Derived versions: conversions and merges that the hub makes, and the lineage of a revision."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters.merge import Recipe
from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import derived as shapes
from hub.api.versions.revisions import resolved
from registry.kernel import policy
from registry.kernel.errors import RepositoryNotFound, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import DerivedVersion, Repository, Revision
from registry.proof import verdicts
from registry.publish.made import derived_versions
from registry.publish.made.derived_versions import Origin
from registry.repos import lookup


class Derive(View):
    @extend_schema(
        operation_id="derive", summary="Derive a version",
        description="The same adapter in another format or precision, or a merge with others. It needs the right to "
        "download the sources and to write to the target. 202: it is being made, and `lineage` says what became of "
        "it; 200: the same was asked for before, and is done. The original stays what it is.",
        request=shapes.Derive, responses={202: shapes.DerivedVersion, 200: shapes.DerivedVersion},
    )  # fmt: skip
    def post(self, request: Request, ns: str, name: str, rev: str) -> Response:
        pages.parameters(request, pages.Nothing)
        revision = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        self.person()
        if not (isinstance(request.data, dict) and request.data.get("into")):
            policy.require(self.caller, Permission.PUSH, revision.repository)  # the target, before anything is read
        body = pages.body(request, shapes.Derive)
        derived = self._request(revision, body)
        derived = derived_versions.by_id(derived.pk)
        states = verdicts.states_in_force([derived.revision_id] if derived.revision_id else [])
        answer = document(derived, self.caller, states)
        return Response(answer, status.HTTP_200_OK if derived.is_final else status.HTTP_202_ACCEPTED)

    def _request(self, revision: Revision, wish: dict[str, Any]) -> DerivedVersion:
        if bool(wish["to"]) == bool(wish["method"]):
            raise ValueInvalid(
                "A derived version has a format or a method.", fix="Send `to`, or `method` and `others`."
            )
        into = _into(wish["into"], self.caller) if wish["into"] else None
        if wish["to"]:
            asked = {key: wish[key] for key in ("alpha", "enable_lora", "rank") if wish[key]}
            return derived_versions.request_conversion(revision, wish["to"], self.caller, into, asked)
        origins = [Origin(revision, wish["weight"]), *map(self._origin, wish["others"])]
        head = derived_versions.chosen_head(wish["head"], origins)
        recipe = Recipe(wish["method"], wish["density"], wish["rank"], wish["seed"], head)
        return derived_versions.request_merge(origins, recipe, self.caller, _target(into))

    def _origin(self, other: dict[str, Any]) -> Origin:
        return derived_versions.find_origin(other["adapter"], other["revision"], other["weight"], self.viewer)


class Lineage(View):
    @extend_schema(
        operation_id="lineage", summary="What a revision was derived of, and what of it", responses=shapes.Lineage
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str, rev: str) -> Response:
        pages.parameters(request, pages.Nothing)
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        origin, rows = derived_versions.made_of(revision), derived_versions.made_from(revision, self.caller)
        states = verdicts.states_in_force(row.revision_id for row in (origin, *rows) if row and row.revision_id)
        return Response(
            {
                "made_of": document(origin, self.caller, states) if origin else None,
                "derived": [document(row, self.caller, states) for row in rows],
            }
        )


def _into(full_name: str, by: Caller) -> Repository:
    try:
        return lookup.find(full_name, by, Permission.BROWSE)
    except RepositoryNotFound as missing:
        fix = f"Create it first (`hf repos create {full_name}`), or name one that you may write to."
        raise RepositoryNotFound(missing.detail, fix, into=full_name) from None


def _target(into: Repository | None) -> Repository:
    if into is None:
        raise ValueInvalid(
            "A merge is the next version of a repository.", fix="Name one that you may write to: `into`."
        )
    return into


def document(derived: DerivedVersion, by: Caller, states: Mapping[int, str]) -> Data:
    """Return a derived version as our REST shows it; a source that the caller may not see has no name.

    `states` has the state of the newest verdict by the id of the revision.
    """
    return {
        "id": derived.pk,
        "adapter": derived.repository.full_name,
        "ref": derived.ref,
        "method": derived.method,
        "options": derived.options,
        "state": derived.state,
        "reason": derived.reason or None,
        "revision": derived.revision.oid if derived.revision else None,
        "verdict": states.get(derived.revision_id) if derived.revision_id else None,
        "lossless": derived.facts.get("lossless"),
        "largest_error": derived.facts.get("largest_error"),
        "tensor": derived.facts.get("tensor"),
        "lost": derived.facts.get("lost"),
        "by": derived.by.username,
        "created_at": derived.created_at,
        "finished_at": derived.finished_at,
        "sources": [
            {
                "adapter": source.current_name if is_shown else None,
                "revision": source.oid if is_shown else None,
                "weight": source.weight,
            }
            for source, is_shown in derived_versions.shown_sources(derived, by)
        ],
    }
