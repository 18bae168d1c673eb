"""Rules of retention: of one adapter and of an owner, what they remove, and taking it back."""

from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.versions import retention as shapes
from registry.kernel.limits import long_requests
from registry.kernel.policy import Permission
from registry.kernel.texts.cursors import row_id
from registry.models import Repository, RetentionRule
from registry.publish.retention import expiring, expiring_views, retention
from registry.publish.retention.expiring_views import OwnerPreview
from registry.publish.retention.retention import Limits
from registry.repos import lookup


class _OfAdapter(View):
    def adapter(self, ns: str, name: str, permission: Permission = Permission.CONFIGURE) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, permission)


class Retention(_OfAdapter):
    @extend_schema(
        operation_id="retention", summary="The rule of retention, and what it removes",
        description="With numbers in the query it only tries a rule: nothing changes.",
        parameters=[shapes.Trial], responses=shapes.Retention,
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str) -> Response:
        repository = self.adapter(ns, name, Permission.ARCHIVE)
        asked = pages.parameters(request, shapes.Trial)
        tried = Limits(asked["keep_last"], asked["keep_days"]) if "keep_last" in asked else None
        return Response(_state(repository, tried))

    @extend_schema(
        operation_id="set_retention", summary="Set the rule of an adapter",
        description="It counts in place of its owner's. Older versions lose their files within hours; their commits "
        "stay.",
        request=shapes.NewRule, responses=shapes.Retention,
    )  # fmt: skip
    def put(self, request: Request, ns: str, name: str) -> Response:
        repository = self.adapter(ns, name)
        retention.set_rule(repository, self.caller, _wish(request))
        return Response(_state(repository, None))

    @extend_schema(
        operation_id="clear_retention", summary="Remove the rule of an adapter",
        description="Its owner's counts again.", responses={204: None},
    )  # fmt: skip
    def delete(self, request: Request, ns: str, name: str) -> Response:
        retention.clear_rule(self.adapter(ns, name), self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Restore(_OfAdapter):
    @extend_schema(
        operation_id="restore_versions", summary="Take back the files of versions that a rule removed",
        description="While they are in the bin. Without a commit id: of all, except those with a blocked file; after "
        "some seconds it stops, and goes on when it is asked again.",
        request=shapes.Restore, responses=shapes.Restored,
    )  # fmt: skip
    def post(self, request: Request, ns: str, name: str) -> Response:
        repository = self.adapter(ns, name)
        wish = pages.body(request, shapes.Restore)
        with long_requests.place():
            restored = expiring.restore(repository, self.caller, wish["revision"])
        return Response(asdict(restored))


class OwnerRetention(View):
    @extend_schema(
        operation_id="owner_retention", summary="The rule of retention of an owner",
        description="Of all repositories that have none of their own. With numbers in the query, `trial` says what "
        "such a rule would remove: nothing changes. It looks at repositories for some seconds; `next` goes on.",
        parameters=[shapes.OwnerTrial], responses=shapes.OwnerRetention,
    )  # fmt: skip
    def get(self, request: Request, ns: str) -> Response:
        namespace = retention.require_owner(ns, self.caller, writing=False)
        asked = pages.parameters(request, shapes.OwnerTrial)
        trial = None
        if "keep_last" in asked:
            tried, after = Limits(asked["keep_last"], asked["keep_days"]), row_id(asked.get("cursor", ""))
            trial = _trial(request, expiring_views.preview_owner(namespace, tried, after=after))
        return Response({"rule": _rule(retention.own_rule(namespace)), "trial": trial})

    @extend_schema(
        operation_id="set_owner_retention", summary="Set the rule of an owner",
        request=shapes.NewRule, responses=shapes.OwnerRule,
    )  # fmt: skip
    def put(self, request: Request, ns: str) -> Response:
        namespace = retention.require_owner(ns, self.caller)
        retention.set_owner_rule(ns, self.caller, _wish(request))
        return Response({"rule": _rule(retention.own_rule(namespace))})

    @extend_schema(operation_id="clear_owner_retention", summary="Remove the rule of an owner", responses={204: None})
    def delete(self, request: Request, ns: str) -> Response:
        retention.clear_owner_rule(ns, self.caller)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _wish(request: Request) -> Limits:
    wish = pages.body(request, shapes.NewRule)
    return Limits(wish["keep_last"], wish["keep_days"])


def _rule(row: RetentionRule | None) -> Data | None:
    if row is None:
        return None
    return {
        "keep_last": row.keep_last,
        "keep_days": row.keep_days,
        "of": "owner" if row.repository_id is None else "adapter",
        "set_by": row.set_by.username,
        "set_at": row.set_at,
    }


def _trial(request: Request, preview: OwnerPreview) -> Data:
    losses = [
        {"adapter": loss.repository.full_name, "expiring_versions": loss.versions, "freed_bytes": loss.freed}
        for loss in preview.losses
    ]
    page = pages.page(request, losses, str(preview.after or ""))
    sums = {"expiring_versions": preview.versions, "freed_bytes": preview.freed}
    return page | sums | {"looked_at": preview.looked_at}


def _state(repository: Repository, tried: Limits | None) -> Data:
    preview = expiring_views.preview(repository, tried)
    return {
        "rule": _rule(preview.rule),
        "expiring": [
            {"revision": row.oid, "title": row.title, "created_at": row.created_at, "bytes": size}
            for row, size in preview.versions
        ],
        "expiring_versions": preview.count,
        "freed_bytes": preview.freed,
        "kept": [{"reason": reason, "versions": count} for reason, count in preview.kept],
        "binned_versions": preview.binned,
        "bin_days": preview.bin_days,
    }
