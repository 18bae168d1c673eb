"""Releases of an adapter: listing, making, editing and deleting them."""

from collections.abc import Sequence

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Page
from dovetail.answers.versions import Release
from features.releases import models, verbs
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.models import Repository
from registry.proof.verdicts import requests
from registry.repos import lookup


class EditRelease(s.Serializer[Data]):
    title = Text(required=False, allow_blank=True, max_length=models.MAX_TITLE, help_text="beside the tag on its page")
    notes = Text(required=False, allow_blank=True, max_length=models.MAX_NOTES, help_text="Markdown")
    prerelease = s.BooleanField(required=False, help_text="never the latest; always true of `v1.0.0-rc.1`")


class MakeRelease(EditRelease):
    tag = Text(
        max_length=64, help_text="a semantic version, as `v1.2.0`; created unless it names that revision already"
    )
    revision = Text(
        required=False,
        max_length=200,
        help_text="a commit id, tag, branch or alias; by default the tag's, else `verified`",
    )
    force = s.BooleanField(required=False, default=False, help_text="also of a revision that has not passed")


class DeleteRelease(s.Serializer[Data]):
    keep_tag = s.BooleanField(required=False, default=True, help_text="false: its tag is deleted too")


class _OfAdapter(View):
    def adapter(self, ns: str, name: str, permission: Permission = Permission.BROWSE) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, permission)

    def one(self, repository: Repository, tag: str) -> Release:
        [line] = _lines(repository, [verbs.find(repository, tag, self.caller)])
        return line


class Releases(_OfAdapter):
    @operation("releases", query=pages.Paging, callers="anyone")
    def get(self, request: Request, ns: str, name: str) -> Page[Release]:
        """Releases of an adapter.

        The highest version first.
        """
        asked = pages.parameters(request, pages.Paging)
        repository = self.adapter(ns, name)
        below = cursors.row_id(asked.get("cursor", ""))
        found = verbs.listed(repository, self.caller, below=below, limit=asked["limit"])
        return pages.page(request, _lines(repository, found.items), found.next)

    @operation(
        "make_release",
        body=MakeRelease,
        status=201,
        example={"tag": "v1.1.0", "title": "Longer training", "notes": "Two epochs more."},
    )
    def post(self, request: Request, ns: str, name: str) -> Release:
        """Make a release.

        Of a revision that passed, with its tag; with `force` of another one.
        """
        pages.parameters(request, pages.Nothing)
        repository = self.adapter(ns, name, Permission.PUSH)
        given = pages.body(request, MakeRelease)
        revision = verbs.revision_for(repository, given["tag"], given.get("revision", ""), self.caller)
        verbs.create(
            repository,
            given["tag"],
            revision,
            self.caller,
            title=given.get("title", ""),
            notes=given.get("notes", ""),
            is_prerelease=given.get("prerelease", False),
            force=given["force"],
        )
        return self.one(repository, given["tag"])


class OneRelease(_OfAdapter):
    @operation("get_release", callers="anyone")
    def get(self, request: Request, ns: str, name: str, release: str) -> Release:
        """One release.

        `latest` is the latest stable one.
        """
        pages.parameters(request, pages.Nothing)
        return self.one(self.adapter(ns, name), release)

    @operation("edit_release", body=EditRelease, example={"notes": "Three epochs more."})
    def patch(self, request: Request, ns: str, name: str, release: str) -> Release:
        """Edit a release.

        Fields that are left out stay; tag and revision never change.
        """
        pages.parameters(request, pages.Nothing)
        repository = self.adapter(ns, name, Permission.PUSH)
        given = pages.body(request, EditRelease)
        verbs.edit(
            repository,
            release,
            self.caller,
            title=given.get("title"),
            notes=given.get("notes"),
            is_prerelease=given.get("prerelease"),
        )
        return self.one(repository, release)

    @operation("delete_release", query=DeleteRelease)
    def delete(self, request: Request, ns: str, name: str, release: str) -> None:
        """Delete a release.

        Its tag stays unless `keep_tag` is false.
        """
        asked = pages.parameters(request, DeleteRelease)
        repository = self.adapter(ns, name, Permission.PUSH)
        verbs.delete(repository, release, self.caller, keep_tag=asked["keep_tag"])


def _lines(repository: Repository, found: Sequence[models.Release]) -> list[Release]:
    states = requests.states_in_force(release.ref.revision_id for release in found)
    latest = verbs.latest(repository)
    return [
        of_row(
            Release,
            release,
            revision=release.ref.revision.oid,
            state=states.get(release.ref.revision_id),
            yanked=release.ref.revision.is_yanked,
            prerelease=release.is_prerelease,
            latest=release == latest,
            forced=release.is_forced,
            created_by=release.created_by.username,
        )
        for release in found
    ]


AT = "adapters/<str:ns>/<str:name>/releases"
REST = [
    path(AT, Releases.as_view(), name="rest-releases"),
    path(f"{AT}/<str:release>", OneRelease.as_view(), name="rest-release-of-adapter"),
]
