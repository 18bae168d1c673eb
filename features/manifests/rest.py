"""Manifests for Kubernetes in our REST: one revision for a platform that serves with vLLM."""

from typing import Annotated

from django.urls import path
from rest_framework.request import Request

from dovetail.adapters.results.report import BasePin
from dovetail.answers.record import Answer
from dovetail.serve.manifests import KINDS, manifest
from dovetail.serve.server_start import Target
from hub.addresses import origin
from hub.api.records import operation
from hub.api.verdicts import document
from hub.api.views import View, resolved
from registry.kernel.errors import ValueInvalid
from registry.proof.verdicts import requests


class KubernetesManifest(Answer):
    """The YAML for one platform."""

    adapter: str
    revision: str
    kind: Annotated[str, "the platform"]
    manifest: Annotated[str, "YAML; its comments say what it expects of the cluster"]


class Manifest(View):
    @operation("kubernetes_manifest", callers="anyone")
    def get(self, request: Request, ns: str, name: str, rev: str, platform: str) -> KubernetesManifest:
        """Return the Kubernetes manifests that serve it.

        For kserve, dynamo, aibrix, production-stack, llm-d or inference-model; docs/serving.md.
        """
        revision = resolved(f"{ns}/{name}", rev, self.viewer)
        if platform not in KINDS:
            raise ValueInvalid(f"Unknown manifest {platform[:80]!r}.", fix=f"Use one of {', '.join(KINDS)}.")
        verdict = requests.current(revision)
        shown = document(verdict, revision, self.caller, origin(request))
        base = shown.base or BasePin()
        target = Target.at_hub(shown.adapter, origin(request), shown.revision, shown.path, base)
        try:
            text = manifest(platform, target, shown.serving)
        except ValueError as reason:
            raise ValueInvalid(str(reason), fix="See its verdict for the engines that can serve it.") from None
        return KubernetesManifest(adapter=shown.adapter, revision=shown.revision, kind=platform, manifest=text)


REVISION = "adapters/<str:ns>/<str:name>/revisions/<api_revision:rev>"
REST = [path(f"{REVISION}/manifests/<str:platform>", Manifest.as_view(), name="rest-manifest")]
