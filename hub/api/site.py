"""The hub itself: what is turned on, the banner of the operator, and the search over all."""

from typing import Annotated

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers import versions
from dovetail.answers.adapters import Adapter
from dovetail.answers.record import Answer, OneOf, RepositoryType
from dovetail.answers.versions import Yanked
from hub.about import VERSION
from hub.api import bases, pages
from hub.api.adapters.adapters import line
from hub.api.bases import Base
from hub.api.pages import Data
from hub.api.records import of_row, operation, yank_of
from hub.api.views import View
from registry.kernel import seams, site_settings
from registry.kernel.site_settings import get_setting
from registry.models import Namespace, RevisionFile
from registry.repos.lists import search
from registry.repos.lists.catalog import Query


class Site(View):
    @operation("site")
    def get(self, request: Request) -> versions.Site:
        """What this hub takes now, and its banner."""
        pages.parameters(request, pages.Nothing)
        shown = site_settings.current_banner()
        return versions.Site(
            version=VERSION,
            registration=get_setting("registration"),
            pull_policy=get_setting("pull_policy"),
            uploads=get_setting("uploads") == "on",
            new_repositories=get_setting("new_repositories") == "on",
            writable=get_setting("read_only") == "off",
            banner=shown.document() if shown else None,
            plane=seams.mirror(),
        )


class Words(s.Serializer[Data]):
    q = s.CharField(max_length=200, help_text="words, or eight and more hex digits of the sha256 of a file")
    limit = s.IntegerField(required=False, min_value=1, max_value=30, default=10, help_text="of each kind")


class Owner(Answer):
    name: str
    kind: Annotated[str, OneOf(*Namespace.Kind.values)]
    full_name: str


class FoundFile(Answer):
    sha256: str
    adapter: Annotated[str, "namespace/name"]
    type: RepositoryType
    revision: Annotated[str, "the newest one that holds it"]
    path: str
    size: int
    yanked: Annotated[Yanked | None, "of the revision"]


class Found(Answer):
    adapters: tuple[Adapter, ...]
    bases: tuple[Base, ...]
    owners: tuple[Owner, ...]
    files: tuple[FoundFile, ...]
    suggestion: Annotated[str | None, "where nothing was found: like words that find something"]


class Search(View):
    @operation("find", query=Words)
    def get(self, request: Request) -> Found:
        """Search adapters, bases, people, organisations and files.

        The first of each kind; `/adapters?q=` has pages and filters of adapters.
        """
        asked = pages.parameters(request, Words)
        query = Query(q=asked["q"], only_verified=self.viewer.only_verified)
        found = search.find(self.caller, query, asked["limit"])
        verdicts = found.adapters.verdicts
        return Found(
            adapters=tuple(line(repository, verdicts.get(repository.pk)) for repository in found.adapters.items),
            bases=tuple(bases.line(base) for base in found.bases),
            owners=tuple(of_row(Owner, owner, full_name=search.full_name(owner)) for owner in found.owners),
            files=tuple(_file(file) for file in found.files),
            suggestion=None if found else search.suggest(self.caller, query) or None,
        )


def _file(file: RevisionFile) -> FoundFile:
    repository = file.revision.repository
    return FoundFile(
        sha256=file.blob_id,
        adapter=repository.full_name,
        type=repository.type,
        revision=file.revision.oid,
        path=file.path,
        size=file.size,
        yanked=yank_of(file.revision),
    )
