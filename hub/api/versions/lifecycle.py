"""The states that owners give: yanked revisions, deprecated and archived adapters."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes.versions import lifecycle as shapes
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Revision
from registry.proof.verified import yanking
from registry.proof.weights import withdrawn_weights
from registry.publish.retention import retiring
from registry.repos import lookup, pull
from registry.repos.manifest import Entry


class _Deed(View):
    def adapter(self, request: Request, ns: str, name: str, permission: Permission) -> Repository:
        pages.parameters(request, pages.Nothing)
        return lookup.find_at_address(f"{ns}/{name}", self.caller, permission)

    def revision(self, request: Request, ns: str, name: str) -> tuple[Revision, str]:
        repository = self.adapter(request, ns, name, Permission.PUSH)
        wish = pages.body(request, shapes.Yank)
        revision = pull.resolve(repository, wish["revision"])
        pull.require_shown(revision, self.caller)
        return revision, wish["reason"]


class Yank(_Deed):
    @extend_schema(
        operation_id="yank", summary="Yank a revision",
        description="It is never `verified` again, main falls back to the newest verified version, and its commit id "
        "still serves it. The reason is public.",
        request=shapes.Yank, responses=shapes.YankState,
    )  # fmt: skip
    def post(self, request: Request, ns: str, name: str) -> Response:
        revision, reason = self.revision(request, ns, name)
        yanking.yank(revision, self.caller, reason)
        return Response(yank_state(revision))


class Unyank(_Deed):
    @extend_schema(
        operation_id="unyank", summary="Take a yank back", request=shapes.Yank, responses=shapes.YankState
    )  # fmt: skip
    def post(self, request: Request, ns: str, name: str) -> Response:
        revision, reason = self.revision(request, ns, name)
        yanking.unyank(revision, self.caller, reason)
        return Response(yank_state(revision))


class Deprecation(_Deed):
    @extend_schema(
        operation_id="deprecate", summary="Deprecate an adapter", request=shapes.Deprecation,
        responses=shapes.AdapterState,
    )  # fmt: skip
    def put(self, request: Request, ns: str, name: str) -> Response:
        repository = self.adapter(request, ns, name, Permission.CONFIGURE)
        wish = pages.body(request, shapes.Deprecation)
        retiring.deprecate(repository, self.caller, wish["message"], wish["successor"])
        return Response(state_of(repository))

    @extend_schema(operation_id="undeprecate", summary="Take a deprecation back", responses={200: shapes.AdapterState})
    def delete(self, request: Request, ns: str, name: str) -> Response:
        repository = self.adapter(request, ns, name, Permission.CONFIGURE)
        retiring.undeprecate(repository, self.caller)
        return Response(state_of(repository))


class Archive(_Deed):
    @extend_schema(
        operation_id="archive", summary="Archive an adapter", description="It can be read and not changed.",
        request=None, responses=shapes.AdapterState,
    )  # fmt: skip
    def put(self, request: Request, ns: str, name: str) -> Response:
        repository = self.adapter(request, ns, name, Permission.ARCHIVE)
        pages.body(request)
        retiring.archive(repository, self.caller)
        return Response(state_of(repository))

    @extend_schema(operation_id="unarchive", summary="Unarchive an adapter", responses={200: shapes.AdapterState})
    def delete(self, request: Request, ns: str, name: str) -> Response:
        repository = self.adapter(request, ns, name, Permission.ARCHIVE)
        retiring.unarchive(repository, self.caller)
        return Response(state_of(repository))


def yank_state(revision: Revision) -> dict[str, Any]:
    """Return a revision and its yank, null where there is none."""
    yanked = {"reason": revision.yank_reason, "at": revision.yanked_at} if revision.is_yanked else None
    return {"revision": revision.oid, "yanked": yanked}


def withdrawn_weights_of(revision: Revision, entries: Mapping[str, Entry], by: Caller) -> dict[str, Any] | None:
    """Return the yanked revision that holds weights among these files of another, as the contract shows it."""
    if (found := withdrawn_weights.find(revision, entries, by)) is None:
        return None
    yanked = found.revision
    return {
        "adapter": yanked.repository.full_name,
        "revision": yanked.oid,
        "path": found.path,
        "reason": yanked.yank_reason,
        "at": yanked.yanked_at,
    }


def state_of(repository: Repository) -> dict[str, Any]:
    """Return the states that an owner gave to an adapter as a whole."""
    deprecated = (
        {"message": repository.deprecation, "successor": repository.successor or None, "at": repository.deprecated_at}
        if repository.is_deprecated
        else None
    )
    return {"status": retiring.status_of(repository), "deprecated": deprecated, "archived_at": repository.archived_at}
