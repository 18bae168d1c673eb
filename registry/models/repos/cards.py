"""The HTML of cards, rendered after each push: no page waits for it, nor for the store."""

from django.db import models
from django.db.models import Q

from registry.models.repos.blobs import SHA256
from registry.models.repos.repositories import Repository


class RenderedCard(models.Model):
    """The card of the newest revision of a repository's main branch; `file` is "" if it has none.

    Relative addresses in `html` lie below /`nonce`/, because they differ by revision and nobody can guess it.
    """

    repository = models.OneToOneField(Repository, on_delete=models.CASCADE, primary_key=True, related_name="card")
    file = models.CharField(max_length=64, blank=True)  # the sha256 of README.md; no foreign key, as of TensorDigest
    renderer = models.PositiveSmallIntegerField(db_index=True)  # rendered_cards.RENDERER of that time
    nonce = models.CharField(max_length=32)
    html = models.TextField(blank=True)
    problem = models.CharField(max_length=500, blank=True)  # the reason why the metadata cannot be read

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(file="") | Q(file__regex=SHA256), name="rendered_card_shape")]

    def __str__(self) -> str:
        return str(self.repository_id)
