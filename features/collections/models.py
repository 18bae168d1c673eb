"""Collections: titled lists of repositories and other collections."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from registry.models import Namespace, Repository

MAX_SLUG = 80


class Collection(models.Model):
    """A list under a title; its address ends in `key`, so that it stays the same when the title changes."""

    class Theme(models.TextChoices):
        ORANGE = "orange"
        BLUE = "blue"
        GREEN = "green"
        PURPLE = "purple"
        PINK = "pink"
        INDIGO = "indigo"

    key = models.CharField(max_length=24, unique=True)  # random hex digits
    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="collections")
    title = models.CharField(max_length=120)
    description = models.CharField(max_length=500, blank=True)
    private = models.BooleanField(default=False, db_default=False)
    theme = models.CharField(max_length=8, choices=Theme.choices, default=Theme.GREEN, db_default=Theme.GREEN)
    position = models.PositiveIntegerField(default=0, db_default=0)  # among the collections of its owner
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="collections")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    updated_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        constraints = [
            models.UniqueConstraint(fields=["namespace", "title"], name="collection_title_unique"),
            models.CheckConstraint(condition=Q(key__regex=r"^[0-9a-f]{24}$"), name="collection_key_shape"),
        ]
        indexes = [models.Index(fields=["-updated_at", "-id"], name="collection_by_update")]

    def __str__(self) -> str:
        return f"{self.namespace.name}/{self.title}"

    def get_absolute_url(self) -> str:
        return reverse("collection", args=[self.namespace.name, self.slug_part])

    @property
    def slug_part(self) -> str:
        """The part of its address after the owner: words-of-the-title-key."""
        words = slugify(self.title)[:MAX_SLUG].strip("-") or "collection"
        return f"{words}-{self.key}"

    @property
    def slug(self) -> str:
        """The part of its address that names it: owner/words-of-the-title-key."""
        return f"{self.namespace.name}/{self.slug_part}"


class CollectionItem(models.Model):
    """An entry of a collection: a repository or another collection."""

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="items")
    repository = models.ForeignKey(
        Repository, null=True, blank=True, on_delete=models.CASCADE, related_name="in_collections"
    )
    nested = models.ForeignKey(Collection, null=True, blank=True, on_delete=models.CASCADE, related_name="nested_in")
    position = models.PositiveIntegerField()  # from 0, without gaps; verbs.py keeps it so
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        app_label = "registry"
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["collection", "repository"], name="collection_repository_unique"),
            models.UniqueConstraint(fields=["collection", "nested"], name="collection_nested_unique"),
            models.CheckConstraint(
                condition=Q(repository__isnull=True) ^ Q(nested__isnull=True), name="collection_item_is_one_thing"
            ),
        ]
