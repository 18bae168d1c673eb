"""Releases of an adapter: listing, making, editing and deleting them."""

from collections.abc import Sequence

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.versions import releases as shapes
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import Release, Repository
from registry.proof import verdicts
from registry.publish import releases as services
from registry.repos import lookup, releases


class _OfAdapter(View):
    def adapter(self, ns: str, name: str, permission: Permission = Permission.BROWSE) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, permission)

    def one(self, repository: Repository, tag: str) -> Data:
        [line] = _lines(repository, [releases.find(repository, tag, self.caller)])
        return line


class Releases(_OfAdapter):
    @extend_schema(
        operation_id="releases", summary="Releases of an adapter", description="The highest version first.",
        parameters=[pages.Paging], responses=shapes.ReleasePage,
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str) -> Response:
        asked = pages.parameters(request, pages.Paging)
        repository = self.adapter(ns, name)
        below = cursors.row_id(asked.get("cursor", ""))
        found = releases.listed(repository, self.caller, below=below, limit=asked["limit"])
        return Response(pages.page(request, _lines(repository, found.items), found.next))

    @extend_schema(
        operation_id="make_release", summary="Make a release",
        description="Of a revision that passed, with its tag; with `force` of another one.",
        request=shapes.MakeRelease, responses={201: shapes.Release},
    )  # fmt: skip
    def post(self, request: Request, ns: str, name: str) -> Response:
        pages.parameters(request, pages.Nothing)
        repository = self.adapter(ns, name, Permission.PUSH)
        given = pages.body(request, shapes.MakeRelease)
        revision = services.revision_for(repository, given["tag"], given.get("revision", ""), self.caller)
        services.create(
            repository, given["tag"], revision, self.caller,
            title=given.get("title", ""), notes=given.get("notes", ""),
            is_prerelease=given.get("prerelease", False), force=given["force"],
        )  # fmt: skip
        return Response(self.one(repository, given["tag"]), status=status.HTTP_201_CREATED)


class OneRelease(_OfAdapter):
    @extend_schema(
        operation_id="get_release", summary="One release", description="`latest` is the latest stable one.",
        responses=shapes.Release,
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str, release: str) -> Response:
        pages.parameters(request, pages.Nothing)
        return Response(self.one(self.adapter(ns, name), release))

    @extend_schema(
        operation_id="edit_release", summary="Edit a release",
        description="What is left out stays; tag and revision never change.",
        request=shapes.EditRelease, responses=shapes.Release,
    )  # fmt: skip
    def patch(self, request: Request, ns: str, name: str, release: str) -> Response:
        pages.parameters(request, pages.Nothing)
        repository = self.adapter(ns, name, Permission.PUSH)
        given = pages.body(request, shapes.EditRelease)
        services.edit(
            repository, release, self.caller,
            title=given.get("title"), notes=given.get("notes"), is_prerelease=given.get("prerelease"),
        )  # fmt: skip
        return Response(self.one(repository, release))

    @extend_schema(
        operation_id="delete_release", summary="Delete a release",
        description="Its tag stays unless `keep_tag` is false.",
        parameters=[shapes.DeleteRelease], responses={204: None},
    )  # fmt: skip
    def delete(self, request: Request, ns: str, name: str, release: str) -> Response:
        asked = pages.parameters(request, shapes.DeleteRelease)
        repository = self.adapter(ns, name, Permission.PUSH)
        services.delete(repository, release, self.caller, keep_tag=asked["keep_tag"])
        return Response(status=status.HTTP_204_NO_CONTENT)


def _lines(repository: Repository, found: Sequence[Release]) -> list[Data]:
    states = verdicts.states_in_force(release.ref.revision_id for release in found)
    latest = releases.latest(repository)
    return [
        {
            "tag": release.tag,
            "title": release.title,
            "notes": release.notes,
            "revision": release.ref.revision.oid,
            "state": states.get(release.ref.revision_id),
            "yanked": release.ref.revision.is_yanked,
            "prerelease": release.is_prerelease,
            "latest": release == latest,
            "forced": release.is_forced,
            "created_by": release.created_by.username,
            "created_at": release.created_at,
            "edited_at": release.edited_at,
        }
        for release in found
    ]
