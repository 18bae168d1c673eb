"""Pushes whose last commit has not arrived: clients send a large folder in several commits."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from registry.models.repos.repositories import Repository, Revision


class OpenPush(models.Model):
    """One person's push to one lane of a repository: what its client announced, and the commits that came so far.

    A lane is a ref; all pull requests of a person are one lane, because a client announces files before it knows the
    number of its pull request.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="open_pushes")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    lane = models.CharField(max_length=255)
    first_path = models.CharField(max_length=1024, blank=True)  # of the announcement: seen again, the client restarted
    # The last announcement was a short one, so it was the end
    is_announced = models.BooleanField(default=False, db_default=False)
    announced = models.PositiveIntegerField(default=0, db_default=0)  # files
    # Of these: new or of another size, and not committed yet
    expected = models.PositiveIntegerField(default=0, db_default=0)
    # Of these: of the same size, so perhaps never committed
    doubtful = models.PositiveIntegerField(default=0, db_default=0)
    ref = models.CharField(max_length=255, blank=True)  # "" until a commit has come
    before = models.ForeignKey(Revision, null=True, on_delete=models.CASCADE, related_name="+")  # the first commit
    revision = models.ForeignKey(Revision, null=True, on_delete=models.CASCADE, related_name="+")  # the last commit
    is_new_ref = models.BooleanField(default=False, db_default=False)  # the push made its ref: a pull request
    heard_at = models.DateTimeField(default=timezone.now, db_default=Now())
    # Seconds of silence after which it has ended; 0: no commit yet
    patience = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "by", "lane"], name="open_push_unique")]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.lane} by {self.by_id}"
