"""Tries: an adapter and its base answer a text of the caller's own, side by side."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import tryouts as shapes
from hub.api.versions.revisions import resolved
from hub.api.waiting import Wait, wait_until
from hub.shared.tryouts import asker_of
from registry.kernel.policy import Permission
from registry.models import Tryout
from registry.proof import tryouts


class Try(View):
    @extend_schema(
        operation_id="try_adapter", summary="Try a version with a text",
        description="A worker runs base and adapter on the texts, within 20 seconds of processor time; the answer is "
        "at `GET …/try/ID`. Only versions that passed are tried. Texts and answer are deleted after an hour, and only "
        "who asked reads them.",
        request=shapes.Try, responses={202: shapes.Tryout},
    )  # fmt: skip
    def post(self, request: Request, ns: str, name: str, rev: str) -> Response:
        pages.parameters(request, pages.Nothing)
        revision = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        tryouts.require_known(self.caller)
        wish = pages.body(request, shapes.Try)
        asker = asker_of(request._request, self.caller)
        tryout = tryouts.request(revision, wish["text"], wish["other"], wish["new_tokens"], asker)
        return Response(document(tryout), status.HTTP_202_ACCEPTED)


class OneTry(View):
    @extend_schema(
        operation_id="get_try", summary="The answer of a try",
        description="With `wait` it comes as soon as it is there.", parameters=[Wait], responses=shapes.Tryout,
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str, rev: str, key: str) -> Response:
        asked = pages.parameters(request, Wait)
        revision = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        tryout = tryouts.find(revision, key, self.caller)
        if asked["wait"]:
            wait_until(lambda: tryouts.find(revision, key, self.caller).is_final, asked["wait"], request)
            revision = resolved(f"{ns}/{name}", revision.oid, self.viewer, Permission.DOWNLOAD)
            tryout = tryouts.find(revision, key, self.caller)
        return Response(document(tryout))


def document(tryout: Tryout) -> Data:
    """Return a try as our REST shows it; it repeats no text."""
    place = tryouts.place(tryout) if tryout.state == Tryout.State.QUEUED else None
    return {
        "id": tryout.key,
        "adapter": tryout.revision.repository.full_name,
        "revision": tryout.revision.oid,
        "state": tryout.state,
        "reason": tryout.reason or None,
        "before": place.before if place else None,
        "wait_seconds": place.seconds if place else None,
        "answer": tryout.answer,
        "asked_at": tryout.asked_at,
        "deleted_at": tryout.asked_at + tryouts.KEPT,
    }
