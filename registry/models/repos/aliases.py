"""Aliases: movable names for revisions, such as `prod`, and the history of their moves."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.append_only import AppendOnlyModel
from registry.models.repos.repositories import Repository, Revision

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
