"""Former names of repositories and organisations; requests for one are redirected to the present name."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.people.people import Namespace
from registry.models.repos.repositories import Repository


class FormerName(models.Model):
    """A former name of a repository; creating a repository of that name deletes this row."""

    type = models.CharField(max_length=8, choices=Repository.Type.choices)
    full_name = models.CharField(max_length=200)  # namespace/name in lower case
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="former_names")
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["type", "full_name"], name="former_name_unique")]


class FormerNamespace(models.Model):
    """A former name of an organisation that was renamed or deleted, or of a deleted person; no one else can take it."""

    name = models.CharField(max_length=96, unique=True)  # in lower case
    namespace = models.ForeignKey(Namespace, null=True, blank=True, on_delete=models.SET_NULL, related_name="former")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(default=timezone.now, db_default=Now())
