"""The state of a revision for `verified`, its comparison with the verified one before, and the owners' override."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.versions import regressions as shapes
from hub.api.versions.revisions import resolved
from registry.kernel.policy import Permission
from registry.models import Regression, Revision
from registry.proof.verified import regression_overrides, regressions
from registry.repos import eligibility


class Override(View):
    @extend_schema(
        operation_id="override_regression", summary="Let a held back version become verified",
        description="For a version that measured worse than the verified one before it, or that adds nothing. Owners"
        " and administrators of the repository may; the reason is public.",
        request=shapes.NewOverride, responses=shapes.RevisionRegression,
    )  # fmt: skip
    def post(self, request: Request, ns: str, name: str, rev: str) -> Response:
        revision = self.revision(request, ns, name, rev)
        wish = pages.body(request, shapes.NewOverride)
        regression_overrides.override(revision, self.caller, wish["reason"])
        return Response(_answer(revision))

    @extend_schema(
        operation_id="withdraw_override", summary="Take an override back", request=None,
        responses={200: shapes.RevisionRegression},
    )  # fmt: skip
    def delete(self, request: Request, ns: str, name: str, rev: str) -> Response:
        revision = self.revision(request, ns, name, rev)
        regression_overrides.withdraw(revision, self.caller)
        return Response(_answer(revision))

    def revision(self, request: Request, ns: str, name: str, rev: str) -> Revision:
        pages.parameters(request, pages.Nothing)
        return resolved(f"{ns}/{name}", rev, self.viewer, Permission.CONFIGURE)


def _answer(revision: Revision) -> Data:
    return {
        "revision": revision.oid,
        "verified": eligibility_of(revision),
        "regression": regression_of(revision),
    }


def eligibility_of(revision: Revision) -> Data:
    """Return whether `verified` may name a revision, as the contract shows it."""
    found = eligibility.of_revision(revision)
    said = {"reason": found.reason or None, "fix": found.fix or None, "overridable": found.is_overridable}
    return {"may": found.may, "because": found.because, "until": None, "is_run": found.is_run, **said}


def regression_of(revision: Revision) -> dict[str, Any] | None:
    """Return the comparison as the contract shows it; null for a first version, and for one beside main."""
    row = regressions.regression_of(revision)
    if row is None:
        return None
    numbers = {name: row.result.get(name) for name in shapes.NUMBERS}
    return {
        "state": _state(row),
        "outcome": row.outcome,
        "against": row.against.oid if row.against else None,
        "reason": row.result["reason"],
        **numbers,
        "notes": row.result["notes"],
        "override": _override(row),
    }


def _state(row: Regression) -> str:
    if row.is_held:
        return "held"
    return "overridden" if row.is_overridden else "open"


def _override(row: Regression) -> dict[str, Any] | None:
    if row.override_by is None:
        return None
    return {"by": row.override_by.username, "at": row.override_at, "reason": row.override_reason}
