"""Names: the operator's rules, those like well-known ones, former ones that redirect, and the aliases of revisions."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.accounts import Namespace
from registry.models.extensions import AppendOnlyModel
from registry.models.repositories import Repository, Revision


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


MAX_ALIAS = 64
MAX_REASON = 500


class Alias(models.Model):
    """A name that people with write access move from revision to revision.

    `revision` is the one that they chose. The ref refs/aliases/NAME points to the one that is served: the same, or the
    fallback while that one is held back or yanked (registry/proof/verified/aliases.py); without any, there is no ref.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=MAX_ALIAS)
    revision = models.ForeignKey(Revision, on_delete=models.RESTRICT, related_name="aliases")
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(default=timezone.now, db_default=Now())
    is_forced = models.BooleanField(default=False, db_default=False)  # set to a revision that has not passed
    reason = models.CharField(max_length=MAX_REASON, blank=True)

    class Meta:
        verbose_name_plural = "aliases"
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["repository", "name"], name="alias_name_unique")]

    def __str__(self) -> str:
        return self.name


class AliasMove(AppendOnlyModel):
    """One move of an alias, kept when the alias is removed; `before` and `after` are the commit ids of that time."""

    class Action(models.TextChoices):
        SET = "set"
        ROLLBACK = "rollback"
        REMOVE = "remove"
        FALLBACK = "fallback"  # by the hub: the chosen revision was held back or yanked
        RETURN = "return"  # by the hub: it is served again
        REWRITE = "rewrite"  # the history was rewritten: the same version has another commit id

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="alias_moves")
    alias = models.CharField(max_length=MAX_ALIAS)
    action = models.CharField(max_length=8, choices=Action.choices)
    before = models.CharField(max_length=40, blank=True)  # empty: nothing was served under it
    after = models.CharField(max_length=40, blank=True)
    revision = models.ForeignKey(  # `after` under its present commit id
        Revision, null=True, on_delete=models.RESTRICT, related_name="alias_moves"
    )
    reason = models.CharField(max_length=MAX_REASON, blank=True)
    is_forced = models.BooleanField(default=False, db_default=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["repository", "alias", "id"], name="alias_move_by_alias")]
        constraints = [
            models.CheckConstraint(
                condition=Q(action__in=["set", "rollback", "remove", "fallback", "return", "rewrite"]),
                name="alias_move_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.alias}: {self.action}"
