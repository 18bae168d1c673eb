"""The shapes of a manifest in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data


class KubernetesManifest(s.Serializer[Data]):
    """The YAML for one platform."""

    adapter = s.CharField()
    revision = s.CharField()
    kind = s.CharField(help_text="the platform")
    manifest = s.CharField(help_text="YAML; its comments say what it expects of the cluster")
