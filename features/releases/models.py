"""Releases: tags that are semantic versions, with a title and notes."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models import Ref, Repository

MAX_TITLE, MAX_NOTES = 200, 65_536  # characters


class Release(models.Model):
    """A tag that its owners present as a version. The tag says which revision it is; it stays while the release does.

    `precedence` is the sort key of the version in the tag (features/releases/verbs.py).
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="releases")
    ref = models.OneToOneField(Ref, on_delete=models.RESTRICT, related_name="release")
    precedence = models.BinaryField(max_length=256)
    title = models.CharField(max_length=MAX_TITLE, blank=True)
    notes = models.TextField(blank=True)  # Markdown
    is_prerelease = models.BooleanField(default=False, db_default=False)
    is_forced = models.BooleanField(default=False, db_default=False)  # made of a revision that had not passed
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    edited_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "registry"
        ordering = ["-precedence", "-pk"]
        indexes = [models.Index(fields=["repository", "-precedence", "-id"], name="release_by_precedence")]

    def __str__(self) -> str:
        return self.tag

    @property
    def tag(self) -> str:
        return self.ref.name.removeprefix("refs/tags/")

    def get_absolute_url(self) -> str:
        return f"{self.repository.get_absolute_url()}/releases/{self.tag}"
