"""The lock of a revision: its pinned composition, which `dovetail lock` writes into adapters.lock."""

from collections.abc import Sequence

from rest_framework.request import Request

from dovetail.adapters.results.report import BasePin, Serving
from dovetail.answers.versions import Lock, LockedBase, LockedBaseFile, LockedFile, LockedPart
from dovetail.serve.server_start import completed_report
from dovetail.serve.target import Target
from hub.api.asking import View
from hub.api.records import of_row, operation
from hub.api.versions.revisions import resolved
from hub.origin import origin
from registry.models import Revision
from registry.proof import reports
from registry.proof.reports import Composition
from registry.repos import pull


class OneLock(View):
    @operation("lock")
    def get(self, request: Request, ns: str, name: str, rev: str) -> Lock:
        """The pinned composition.

        Digests of the adapter and its base, engine versions and flags; the same for a commit at any time until its next
        verdict.
        """
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        pull.require_served(revision, self.caller)
        return _document(revision, reports.composition_of(revision), origin(request))


def _document(revision: Revision, composed: Composition, endpoint: str) -> Lock:
    report = composed.report
    if report:
        base = report.base or BasePin()
        repository = revision.repository
        target = Target(repository.full_name, endpoint, revision.oid, report.path, base.id, base.revision or "")
        report = completed_report(report, target)
    contents = report.contents if report else ()
    return Lock(
        adapter=revision.repository.full_name,
        revision=revision.oid,
        state=composed.verdict.state if composed.verdict else None,
        kind=(report.kind if report else "") or None,
        format=(report.format if report else "") or None,
        files=tuple(of_row(LockedFile, entry) for entry in composed.entries.values()),
        base=_base(composed),
        engine=report.engine if report else None,
        engines=report.engines if report else (),
        serving=_serving(report.serving if report else ()),
        parts=tuple(
            LockedPart(path=one.path, serving=_serving(one.serving)) for one in contents if one.serving is not None
        ),
        merge_order=tuple(composed.merge_order),
    )


def _serving(rows: Sequence[Serving]) -> tuple[Serving, ...]:
    return tuple(row for row in rows if row.outcome == "serves")


def _base(composed: Composition) -> LockedBase | None:
    if composed.report is None or composed.report.base is None:
        return None
    files = tuple(of_row(LockedBaseFile, file) for file in composed.base_files)
    return of_row(LockedBase, composed.report.base, files=files)
