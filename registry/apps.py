"""Tells Django where the heart's tables live, and lets the features join the domain."""

from django.apps import AppConfig

import features
from registry.kernel import seams


class RegistryConfig(AppConfig):
    name = "registry"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Registry"

    def ready(self) -> None:
        """Read the features: what they add to the domain needs every table to be loaded."""
        seams.join(features.parts("FEATURE", seams.Feature, "feature", "verbs"))
