"""CI systems that may publish without a secret, and the jobs in which they did."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone

from registry.models.accounts import Namespace, Token
from registry.models.repositories import Repository


class TrustedPublisher(models.Model):
    """A job of a CI system, pinned by claims of its identity token, that may publish to one repository.

    While the repository does not exist it is pending: its first push may create it.
    """

    type = models.CharField(
        max_length=8, choices=Repository.Type.choices, default=Repository.Type.MODEL, db_default=Repository.Type.MODEL
    )
    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="publishers")
    name = models.CharField(max_length=96)  # of the repository; a pending one has nothing else
    repository = models.ForeignKey(
        Repository, null=True, blank=True, on_delete=models.CASCADE, related_name="publishers"
    )
    issuer = models.CharField(max_length=255)
    claims = models.JSONField()  # claim → list of accepted values; one that ends in * accepts a prefix
    account = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="publisher")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="made_publishers"
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=Q(type__in=["model", "dataset", "space"]), name="publisher_type_known")
        ]
        indexes = [models.Index("type", "namespace", Lower("name"), name="publisher_by_address")]

    def __str__(self) -> str:
        return self.account.username

    @property
    def full_name(self) -> str:
        """The id of the repository, which a pending publisher has not created yet."""
        return self.repository.full_name if self.repository else f"{self.namespace.name}/{self.name}"


class PublishingRun(models.Model):
    """One CI job that got a token for its identity token, which is never accepted again."""

    publisher = models.ForeignKey(TrustedPublisher, null=True, on_delete=models.SET_NULL, related_name="runs")
    issuer = models.CharField(max_length=255)
    jti_sha256 = models.CharField(max_length=64)  # of the identity token's own id
    claims = models.JSONField()  # of the identity token, those that pages show
    token = models.OneToOneField(Token, null=True, on_delete=models.SET_NULL, related_name="run")
    started_at = models.DateTimeField(default=timezone.now, db_default=Now())
    expires_at = models.DateTimeField()  # until then the identity token would be valid

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "jti_sha256"], name="publishing_run_once")]
        indexes = [models.Index(fields=["expires_at"], name="publishing_run_by_end")]
