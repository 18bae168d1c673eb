"""Rules of retention: of one adapter and of an owner, what they remove, and taking it back."""

from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf, Time, Url
from features.retention import expiry, verbs
from features.retention.models import RetentionRule
from features.retention.verbs import MOST_DAYS, MOST_VERSIONS, Limits
from hub.api import pages
from hub.api.pages import Data, Text, WholeNumber
from hub.api.records import of_row, operation
from hub.api.views import View
from registry.kernel import capacity
from registry.kernel.policy import Permission
from registry.kernel.texts.cursors import row_id
from registry.models import Repository
from registry.repos import lookup

NEWEST = "newest versions of each branch that stay"
ALL = f"{NEWEST}; null: all of them, whatever the owner's rule says"
YOUNGER = "versions younger than this stay, whatever their number"


class NewRule(s.Serializer[Data]):
    keep_last = WholeNumber(allow_null=True, min_value=1, max_value=MOST_VERSIONS, help_text=ALL)
    keep_days = WholeNumber(required=False, default=1, min_value=1, max_value=MOST_DAYS, help_text=YOUNGER)


class Trial(s.Serializer[Data]):
    """The numbers of a rule that is only tried; without them, the rule in force is."""

    keep_last = s.IntegerField(required=False, min_value=1, max_value=MOST_VERSIONS, help_text=NEWEST)
    keep_days = s.IntegerField(required=False, default=1, min_value=1, max_value=MOST_DAYS, help_text=YOUNGER)


class OwnerTrial(Trial):
    cursor = s.CharField(required=False, help_text="from next of the part before")


class RestoreBody(s.Serializer[Data]):
    revision = Text(required=False, default="", allow_blank=True, max_length=40, help_text="a commit id; empty: all")


class Rule(Answer):
    keep_last: Annotated[int | None, ALL]
    keep_days: Annotated[int, YOUNGER]
    of: Annotated[str, OneOf("adapter", "owner"), "for whom it was set"]
    set_by: str
    set_at: Time


class OwnerRule(Answer):
    rule: Annotated[Rule | None, "null: every version is kept"]


class Loss(Answer):
    adapter: Annotated[str, "or another repository of the owner: namespace/name"]
    expiring_versions: Annotated[int, "how many lose their files"]
    freed_bytes: int


class OwnerLosses(Answer):
    items: Annotated[tuple[Loss, ...], "the repositories of this part that lose files"]
    next: Url | None
    expiring_versions: Annotated[int, "of these together"]
    freed_bytes: Annotated[int, "of these together, if no other repository has the same files"]
    looked_at: Annotated[int, "repositories with a version that is old enough"]


class OwnerRetention(OwnerRule):
    trial: Annotated[OwnerLosses | None, "what the numbers in the query would remove; null without them"]


class ExpiringVersion(Answer):
    revision: Annotated[str, "40 hex digits"]
    title: str
    created_at: Time
    bytes: Annotated[int, "that no version names which stays; a file counts at the newest that has it"]


class Kept(Answer):
    reason: Annotated[str, OneOf("newest", "young", "named", "pull request", "in use")]
    versions: int


class Retention(OwnerRule):
    expiring: Annotated[tuple[ExpiringVersion, ...], "the oldest 200 that lose their files"]
    expiring_versions: Annotated[int, "how many lose their files in all"]
    freed_bytes: int
    kept: Annotated[tuple[Kept, ...], "why the others stay"]
    binned_versions: Annotated[int, "whose files were removed and can be taken back"]
    bin_days: Annotated[int, "how long they can"]


class Restored(Answer):
    versions: Annotated[int, "how many have their files again; no rule removes them any more"]
    left: Annotated[int, "for how many there was no time: ask again"]


class _OfAdapter(View):
    def adapter(self, ns: str, name: str, permission: Permission = Permission.CONFIGURE) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, permission)


class OfAdapter(_OfAdapter):
    @operation("retention", query=Trial)
    def get(self, request: Request, ns: str, name: str) -> Retention:
        """The rule of retention, and what it removes.

        With numbers in the query it only tries a rule: nothing changes.
        """
        repository = self.adapter(ns, name, Permission.ARCHIVE)
        asked = pages.parameters(request, Trial)
        tried = Limits(asked["keep_last"], asked["keep_days"]) if "keep_last" in asked else None
        return _state(repository, tried)

    @operation("set_retention", body=NewRule, example={"keep_last": 20, "keep_days": 30})
    def put(self, request: Request, ns: str, name: str) -> Retention:
        """Set the rule of an adapter.

        It counts in place of its owner's. Older versions lose their files within hours; their commits stay.
        """
        repository = self.adapter(ns, name)
        verbs.set_rule(repository, self.caller, _wish(request))
        return _state(repository, None)

    @operation("clear_retention")
    def delete(self, request: Request, ns: str, name: str) -> None:
        """Remove the rule of an adapter.

        Its owner's counts again.
        """
        verbs.clear_rule(self.adapter(ns, name), self.caller)


class Restore(_OfAdapter):
    @operation("restore_versions", body=RestoreBody)
    def post(self, request: Request, ns: str, name: str) -> Restored:
        """Take back the files of versions that a rule removed.

        While they are in the bin. Without a commit id: of all, except those with a blocked file; after some seconds it
        stops, and goes on when it is asked again.
        """
        repository = self.adapter(ns, name)
        wish = pages.body(request, RestoreBody)
        with capacity.place():
            restored = expiry.restore(repository, self.caller, wish["revision"])
        return of_row(Restored, restored)


class OfOwner(View):
    @operation("owner_retention", query=OwnerTrial)
    def get(self, request: Request, ns: str) -> OwnerRetention:
        """The rule of retention of an owner.

        Of all repositories that have none of their own. With numbers in the query, `trial` says what such a rule would
        remove: nothing changes. It looks at repositories for some seconds; `next` goes on.
        """
        namespace = verbs.require_owner(ns, self.caller, writing=False)
        asked = pages.parameters(request, OwnerTrial)
        trial = None
        if "keep_last" in asked:
            tried, after = Limits(asked["keep_last"], asked["keep_days"]), row_id(asked.get("cursor", ""))
            trial = _trial(request, expiry.preview_owner(namespace, tried, after=after))
        return OwnerRetention(rule=_rule(verbs.own_rule(namespace)), trial=trial)

    @operation("set_owner_retention", body=NewRule, example={"keep_last": 50, "keep_days": 90})
    def put(self, request: Request, ns: str) -> OwnerRule:
        """Set the rule of an owner."""
        namespace = verbs.require_owner(ns, self.caller)
        verbs.set_owner_rule(ns, self.caller, _wish(request))
        return OwnerRule(rule=_rule(verbs.own_rule(namespace)))

    @operation("clear_owner_retention")
    def delete(self, request: Request, ns: str) -> None:
        """Remove the rule of an owner."""
        verbs.clear_owner_rule(ns, self.caller)


def _wish(request: Request) -> Limits:
    wish = pages.body(request, NewRule)
    return Limits(wish["keep_last"], wish["keep_days"])


def _rule(row: RetentionRule | None) -> Rule | None:
    if row is None:
        return None
    return of_row(Rule, row, of="owner" if row.repository_id is None else "adapter", set_by=row.set_by.username)


def _trial(request: Request, preview: expiry.OwnerPreview) -> OwnerLosses:
    losses = [
        Loss(adapter=loss.repository.full_name, expiring_versions=loss.versions, freed_bytes=loss.freed)
        for loss in preview.losses
    ]
    page = pages.page(request, losses, str(preview.after or ""))
    return OwnerLosses(
        items=page.items,
        next=page.next,
        expiring_versions=preview.versions,
        freed_bytes=preview.freed,
        looked_at=preview.looked_at,
    )


def _state(repository: Repository, tried: Limits | None) -> Retention:
    preview = expiry.preview(repository, tried)
    return Retention(
        rule=_rule(preview.rule),
        expiring=tuple(of_row(ExpiringVersion, row, revision=row.oid, bytes=size) for row, size in preview.versions),
        expiring_versions=preview.count,
        freed_bytes=preview.freed,
        kept=tuple(Kept(reason=reason, versions=count) for reason, count in preview.kept),
        binned_versions=preview.binned,
        bin_days=preview.bin_days,
    )


REST = [
    path("adapters/<str:ns>/<str:name>/retention", OfAdapter.as_view(), name="rest-retention"),
    path("adapters/<str:ns>/<str:name>/retention/restore", Restore.as_view(), name="rest-restore-versions"),
    path("namespaces/<str:ns>/retention", OfOwner.as_view(), name="rest-owner-retention"),
]
