"""Facts that pages and lists read beside a repository: its rendered card, the counts of facets, and downloads."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.blobs import SHA256
from registry.models.repositories import Repository, Revision


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


class RevisionFacts(models.Model):
    """The facts that the files of a revision state, as registry/repos/contents/stored_facts.py writes and reads them.

    `facts` is JSON in a column of text: of JSON a database keeps neither the order of keys nor every value of a card.
    """

    revision = models.OneToOneField(Revision, on_delete=models.CASCADE, primary_key=True, related_name="facts")
    version = models.PositiveSmallIntegerField()  # stored_facts.VERSION of that time
    facts = models.TextField()
    text = models.TextField(blank=True)  # of the card, below its front matter; "" of one that is too long

    def __str__(self) -> str:
        return str(self.revision_id)


class CatalogueCount(models.Model):
    """A number to add to the count of the publicly listed repositories that have these values in these columns.

    Triggers on repositories and people (registry/sql/counts.py) add a row for each change; a worker folds the
    rows of the same values into one (counting.py). So the sum is right at any moment, and two pushes
    never wait for one row. Each change is counted twice: with its base, and without (`base` is null), because there are
    few groups of repositories where bases do not count.
    """

    type = models.CharField(max_length=8)
    base = models.CharField(max_length=200, null=True)  # "" is a value: no base; null: of any base
    kind = models.CharField(max_length=32)
    task = models.CharField(max_length=64)
    license = models.CharField(max_length=64)
    serves = models.CharField(max_length=300)
    state = models.CharField(max_length=8)
    outcome = models.CharField(max_length=8)
    is_verified = models.BooleanField()
    is_archived = models.BooleanField()
    is_gated = models.BooleanField()
    number = models.BigIntegerField()
    is_folded = models.BooleanField()

    class Meta:
        indexes = [
            models.Index(fields=["type", "base", "kind", "task", "license"], name="catalogue_count_group"),
            models.Index(fields=["type", "kind", "task", "license"], name="catalogue_count_kind"),
            models.Index(fields=["id"], name="catalogue_count_new", condition=Q(is_folded=False)),
        ]

    def __str__(self) -> str:
        return f"{self.number:+} {self.type} {self.kind} of {self.base}"


class CountedDownloads(models.Model):
    """Downloads that one process counted within seconds; rows are only added, until download_counts folds them.

    The repository is a number: it may be deleted meanwhile, and no foreign key has to be looked up.
    """

    repository = models.BigIntegerField()
    oid = models.CharField(max_length=40, blank=True, db_default="")  # of the version; "" where the client named none
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    count = models.PositiveIntegerField()

    class Meta:
        verbose_name_plural = "counted downloads"


class DailyDownloads(models.Model):
    """The downloads of one repository on one day (UTC); of days long past, those of a month on its first day.

    There is no constraint of the database: code of the release before deletes repositories without these rows.
    """

    pk = models.CompositePrimaryKey("repository_id", "day")
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="daily_downloads", db_constraint=False, db_index=False
    )
    day = models.DateField()
    count = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        verbose_name_plural = "daily downloads"
