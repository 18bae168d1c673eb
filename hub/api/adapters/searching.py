"""The search over everything: adapters, bases, people, organisations, and files by their digest."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import bases, pages
from hub.api.adapters.adapters import line
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import searching as shapes
from hub.api.versions.lifecycle import yank_state
from registry.models import Namespace, RevisionFile
from registry.repos.lists import finding
from registry.repos.lists.catalog import Query


class Search(View):
    @extend_schema(
        operation_id="find", summary="Search adapters, bases, people, organisations and files",
        description="The first of each kind; `/adapters?q=` has pages and filters of adapters.",
        parameters=[shapes.Words], responses=shapes.Found,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = pages.parameters(request, shapes.Words)
        query = Query(q=asked["q"], only_verified=self.viewer.only_verified)
        found = finding.find(self.caller, query, asked["limit"])
        verdicts = found.adapters.verdicts
        return Response({
            "adapters": [line(repository, verdicts.get(repository.pk)) for repository in found.adapters.items],
            "bases": [bases.line(base) for base in found.bases],
            "owners": [_owner(owner) for owner in found.owners],
            "files": [_file(file) for file in found.files],
            "suggestion": None if found else finding.suggest(self.caller, query) or None,
        })  # fmt: skip


def _owner(owner: Namespace) -> Data:
    return {"name": owner.name, "kind": owner.kind, "full_name": finding.full_name(owner)}


def _file(file: RevisionFile) -> Data:
    repository = file.revision.repository
    return {
        "sha256": file.blob_id,
        "adapter": repository.full_name,
        "type": repository.type,
        "revision": file.revision.oid,
        "path": file.path,
        "size": file.size,
        "yanked": yank_state(file.revision)["yanked"],
    }
