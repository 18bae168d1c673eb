"""The lock of a revision: its pinned composition, which `dovetail lock` writes into adapters.lock."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters.results.report import BasePin
from dovetail.serve.server_start import completed_report
from dovetail.serve.target import Target
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.versions import locks as shapes
from hub.api.versions.revisions import resolved
from hub.origin import origin
from registry.models import Revision
from registry.proof import composition
from registry.proof.composition import Composition
from registry.repos import pull


class Lock(View):
    @extend_schema(
        operation_id="lock",
        summary="The pinned composition",
        description="Digests of the adapter and its base, engine versions and flags; the same for a commit at any time "
        "until its next verdict.",
        responses=shapes.Lock,
    )
    def get(self, request: Request, ns: str, name: str, rev: str) -> Response:
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        pull.require_served(revision, self.caller)
        return Response(_document(revision, composition.of_revision(revision), origin(request)))


def _document(revision: Revision, composed: Composition, endpoint: str) -> Data:
    report = composed.report
    if report:
        base = report.base or BasePin()
        repository = revision.repository
        target = Target(repository.full_name, endpoint, revision.oid, report.path, base.id, base.revision or "")
        report = completed_report(report, target)
    stated = report.as_json() if report else {}
    return {
        "adapter": revision.repository.full_name,
        "revision": revision.oid,
        "state": composed.verdict.state if composed.verdict else None,
        "kind": stated.get("kind") or None,
        "format": stated.get("format") or None,
        "files": [{"path": e.path, "size": e.size, "sha256": e.sha256} for e in composed.entries.values()],
        "base": _base(composed),
        "engine": stated.get("engine"),
        "engines": stated.get("engines", []),
        "serving": _serving(stated),
        "parts": [
            {"path": part["path"], "serving": _serving(part)}
            for part in stated.get("contents", ())
            if "serving" in part
        ],
        "merge_order": list(composed.merge_order),
    }


def _serving(stated: Data) -> list[Data]:
    return [row for row in stated.get("serving", ()) if row["outcome"] == "serves"]


def _base(composed: Composition) -> Data | None:
    if composed.report is None or composed.report.base is None:
        return None
    files = [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in composed.base_files]
    return {**composed.report.base.as_json(), "files": files}
