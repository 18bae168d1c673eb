"""OCI images of revisions: what they are made of, and the digests that clients know them by."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models import Revision
from registry.models.blobs import SHA256


class ImageLayer(models.Model):
    """A layer: a tar of some files. It is never stored, but built while it is sent; a row without a digest is a job."""

    recipe = models.CharField(max_length=64, primary_key=True)  # sha256 of `files` as JSON
    files = models.JSONField()  # [[path, sha256, size], …] in the order of the tar
    size = models.BigIntegerField()  # of the tar
    digest = models.CharField(max_length=64, null=True, db_index=True)  # sha256 of the tar
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    free_at = models.DateTimeField(default=timezone.now, db_default=Now())  # of a job: later while a worker holds it

    class Meta:
        app_label = "registry"
        constraints = [models.CheckConstraint(condition=Q(recipe__regex=SHA256), name="image_layer_recipe_shape")]
        indexes = [models.Index(fields=["free_at"], name="image_layer_job", condition=Q(digest__isnull=True))]

    def __str__(self) -> str:
        return self.recipe


class Image(models.Model):
    """A revision as an image, made when somebody first asks for it."""

    revision = models.OneToOneField(Revision, on_delete=models.CASCADE, related_name="image")
    digest = models.CharField(max_length=64)  # of its manifest, which is among the revision's documents
    layers = models.ManyToManyField(ImageLayer, related_name="images")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"
        constraints = [models.CheckConstraint(condition=Q(digest__regex=SHA256), name="image_digest_shape")]

    def __str__(self) -> str:
        return f"sha256:{self.digest}"


class ImageDocument(models.Model):
    """A manifest, a config or a verdict, kept word for word: clients pin its digest."""

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="image_documents")
    digest = models.CharField(max_length=64, db_index=True)
    media_type = models.CharField(max_length=100)
    text = models.TextField()

    class Meta:
        app_label = "registry"
        constraints = [models.UniqueConstraint(fields=["revision", "digest"], name="image_document_unique")]

    def __str__(self) -> str:
        return f"sha256:{self.digest}"
