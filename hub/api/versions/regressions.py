"""The state of a revision for `verified`, its comparison with the verified one before, and the owners' override."""

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import members
from dovetail.answers.versions import Eligibility, Override, Regression, RevisionRegression
from hub.api import pages
from hub.api.asking import View
from hub.api.pages import Data, Text
from hub.api.records import operation, text_of
from hub.api.versions.revisions import resolved
from registry import models
from registry.kernel.policy import Permission
from registry.proof.verified import regressions, verified
from registry.repos import eligibility


class NewOverride(s.Serializer[Data]):
    reason = Text(max_length=500, help_text="public, at least 10 characters: why the number is right")


class OneOverride(View):
    @operation("override_regression", body=NewOverride)
    def post(self, request: Request, ns: str, name: str, rev: str) -> RevisionRegression:
        """Let a held back version become verified.

        For a version that measured worse than the verified one before it, or that adds nothing. Owners and
        administrators of the repository may; the reason is public.
        """
        revision = self.revision(request, ns, name, rev)
        wish = pages.body(request, NewOverride)
        verified.override(revision, self.caller, wish["reason"])
        return _answer(revision)

    @operation("withdraw_override")
    def delete(self, request: Request, ns: str, name: str, rev: str) -> RevisionRegression:
        """Take an override back."""
        revision = self.revision(request, ns, name, rev)
        verified.withdraw(revision, self.caller)
        return _answer(revision)

    def revision(self, request: Request, ns: str, name: str, rev: str) -> models.Revision:
        pages.parameters(request, pages.Nothing)
        return resolved(f"{ns}/{name}", rev, self.viewer, Permission.CONFIGURE)


def _answer(revision: models.Revision) -> RevisionRegression:
    return RevisionRegression(
        revision=revision.oid, verified=eligibility_of(revision), regression=regression_of(revision)
    )


def eligibility_of(revision: models.Revision) -> Eligibility:
    """Return whether `verified` may name a revision, as the contract shows it."""
    found = eligibility.of_revision(revision)
    return Eligibility(
        may=found.may,
        because=found.because,
        until=None,
        is_run=found.is_run,
        reason=found.reason or None,
        fix=found.fix or None,
        overridable=found.is_overridable,
    )


def regression_of(revision: models.Revision) -> Regression | None:
    """Return the comparison as the contract shows it; null for a first version, and for one beside main."""
    row = regressions.regression_of(revision)
    if row is None:
        return None
    stated = {
        "state": _state(row),
        "outcome": row.outcome,
        "against": row.against.oid if row.against else None,
        "override": _override(row),
    }
    return Regression(**{name: row.result.get(name) for name, *_ in members(Regression)} | stated)


def _state(row: models.Regression) -> str:
    if row.is_held:
        return "held"
    return "overridden" if row.is_overridden else "open"


def _override(row: models.Regression) -> Override | None:
    if row.override_by is None or row.override_at is None:
        return None
    return Override(by=row.override_by.username, at=text_of(row.override_at), reason=row.override_reason)
