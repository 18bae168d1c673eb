"""The names that adapters had before they were moved; whoever asks for one is sent on to where the adapter is now."""

from django.db import models
from django.utils import timezone

from registry.models.adapters import Adapter


class Rename(models.Model):
    """A former name of an adapter. An adapter that is made under it later wins, and takes this row away."""

    type = models.CharField(max_length=8, choices=Adapter.Type.choices)
    full_name = models.CharField(max_length=200)  # namespace/name in lower case
    adapter = models.ForeignKey(Adapter, on_delete=models.CASCADE, related_name="former_names")
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["type", "full_name"], name="rename_full_name_unique")]
