"""The verdict of a revision, and a request to validate it again."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api.asking import View
from hub.api.revisions import resolved
from hub.api.shapes import verdicts as shapes
from registry.kernel import policy
from registry.kernel.policy import Caller, Permission
from registry.models import Revision, Verdict
from registry.proof import verdicts


class OneVerdict(View):
    @extend_schema(
        operation_id="verdict",
        summary="The verdict",
        description="Also while it is queued or running.",
        responses=shapes.Verdict,
    )
    def get(self, request: Request, ns: str, name: str, rev: str) -> Response:
        revision = resolved(f"{ns}/{name}", rev, self.caller)
        return Response(document(verdicts.current(revision), revision, self.caller))


class Validate(View):
    @extend_schema(operation_id="validate", summary="Validate again", request=None, responses={202: shapes.Verdict})
    def post(self, request: Request, ns: str, name: str, rev: str) -> Response:
        revision = resolved(f"{ns}/{name}", rev, self.caller)
        policy.require(self.caller, Permission.PUSH, revision.repository)
        verdict, _ = verdicts.again(revision, self.caller.user)
        return Response(document(verdict, revision, self.caller), status.HTTP_202_ACCEPTED)


def document(verdict: Verdict, revision: Revision, by: Caller) -> dict[str, Any]:
    """Return a verdict as the contract shows it; what the engine has not said yet is null or empty.

    Samples are rows of a file, so a gate is before them too.
    """
    said: dict[str, Any] = verdict.result
    samples = said.get("samples") if policy.passes_gate(by, revision.repository) else None
    return {
        "adapter": revision.repository.full_name,
        "revision": revision.oid,
        "state": verdict.state,
        "reason": verdicts.why(verdict) or None,
        "attempt": verdict.attempt,
        "queued_at": verdict.queued_at,
        "started_at": verdict.started_at,
        "finished_at": verdict.finished_at,
        "duration_ms": verdict.duration_ms,
        "kind": said.get("kind") or None,
        "format": said.get("format") or None,
        "base": said.get("base") or _named_base(verdict),
        "depth": said.get("depth"),
        "engine": said.get("engine"),
        "engines": said.get("engines") or _engines(verdict),
        "checks": [_check(check) for check in said.get("checks") or []],
        "evals": said.get("evals") or [],
        "cost": said.get("cost"),
        "samples": samples or [],
        "conditions": said.get("conditions"),
        "serving": said.get("serving") or [],
        "fits": said.get("fits"),
        "path": said.get("path") or "",
        "contents": said.get("contents") or [],
    }


def _named_base(verdict: Verdict) -> dict[str, Any] | None:
    return {"id": verdict.base, "revision": None, "sha256": None} if verdict.base else None


def _engines(verdict: Verdict) -> list[dict[str, Any]]:
    engine = verdict.result.get("engine")
    if not engine or not verdict.is_final:
        return []
    return [{"name": engine.get("name"), "transformers": engine.get("transformers"), "state": verdict.state}]


def _check(said: dict[str, Any]) -> dict[str, Any]:
    return {"message": "", "fix": "", "where": {}, "duration_ms": None} | said
