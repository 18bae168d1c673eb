"""The tables that the next release adds; its own processes alone import them."""

from django.db import models

from registry.models import Repository, Verdict


class Milestone(models.Model):
    """A table that code of today does not know."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+")
    title = models.CharField(max_length=100)

    class Meta:
        app_label = "registry"

    def __str__(self) -> str:
        return self.title


models.CharField(max_length=32, default="", db_default="").contribute_to_class(Repository, "audience")
models.PositiveIntegerField(default=7, db_default=7).contribute_to_class(Verdict, "weight")
Repository._meta.indexes.append(models.Index(fields=["audience"], name="repository_by_audience"))
