"""Manifests for Kubernetes: one revision for a platform that serves with vLLM."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters.results.report import Report
from dovetail.serve.manifests import KINDS, manifest
from dovetail.serve.target import Target
from hub.api.asking import View
from hub.api.shapes.versions import manifests as shapes
from hub.api.versions.revisions import resolved
from hub.api.versions.verdicts import document
from hub.origin import origin
from registry.kernel.errors import ValueInvalid
from registry.proof import verdicts


class Manifest(View):
    @extend_schema(
        operation_id="kubernetes_manifest",
        summary="What Kubernetes needs to serve it",
        description="For kserve, dynamo, aibrix, production-stack, llm-d or inference-model; docs/serving.md.",
        responses=shapes.KubernetesManifest,
    )
    def get(self, request: Request, ns: str, name: str, rev: str, platform: str) -> Response:
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        if platform not in KINDS:
            raise ValueInvalid(f"There is no manifest {platform[:80]!r}.", fix=f"Ask for one of {', '.join(KINDS)}.")
        verdict = verdicts.current(revision)
        shown = document(verdict, revision, self.caller, origin(request))
        target = Target.of_verdict(shown, origin(request))
        answers = Report.of_result({"serving": shown["serving"]}, verdict.state).serving
        try:
            text = manifest(platform, target, answers)
        except ValueError as reason:
            raise ValueInvalid(str(reason), fix="Its verdict says what serves it.") from None
        names = {"adapter": target.adapter, "revision": target.revision}
        return Response({**names, "kind": platform, "manifest": text})
