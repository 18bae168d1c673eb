"""Rules of the operator for names, names that looked like well-known ones, and former names, which redirect."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.people.people import Namespace
from registry.models.repos.repositories import Repository


class NameRule(models.Model):
    """A pattern of names that nobody may take, or that only the operator gives away."""

    class Kind(models.TextChoices):
        RESERVED = "reserved"  # the operator may give it to somebody
        PROHIBITED = "prohibited"  # nobody gets it, nor a name that looks like it

    class Scope(models.TextChoices):
        NAMESPACE = "namespace"  # people and organisations
        REPOSITORY = "repository"  # the part behind the slash
        ANY = "any"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.NAMESPACE, db_default=Scope.NAMESPACE)
    pattern = models.CharField(max_length=96)  # lower case; * stands for any characters, ? for one
    reason = models.CharField(max_length=300, blank=True)  # for moderators
    by = models.CharField(max_length=96)
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        verbose_name = "name rule"
        constraints = [
            models.UniqueConstraint(fields=["kind", "scope", "pattern"], name="name_rule_unique"),
            models.CheckConstraint(condition=Q(kind__in=["reserved", "prohibited"]), name="name_rule_kind_known"),
            models.CheckConstraint(
                condition=Q(scope__in=["namespace", "repository", "any"]), name="name_rule_scope_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pattern}"


class NameObservation(models.Model):
    """A name that was taken though it looks like a well-known one: pages warn of it, the wire does not."""

    kind = models.CharField(max_length=12)  # person, organization, model, dataset, space
    name = models.CharField(max_length=200)  # as it was taken: namespace, or namespace/name
    like = models.CharField(max_length=200)  # the well-known name
    why = models.CharField(max_length=200)
    by = models.CharField(max_length=96)
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        verbose_name = "name observation"

    def __str__(self) -> str:
        return f"{self.name} looks like {self.like}"


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
