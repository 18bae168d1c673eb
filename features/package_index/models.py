"""The wheels of the releases that a hub has served."""

import re
from email.parser import BytesParser
from hashlib import sha256
from urllib.parse import quote

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class Wheel(models.Model):
    """A wheel of the client or of its library; rows are those of releases, whose bytes never change."""

    filename = models.CharField(max_length=200, unique=True)
    project = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField()  # bytes
    metadata = models.BinaryField()  # what an installer reads first
    data = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        app_label = "registry"

    def __str__(self) -> str:
        return self.filename

    @property
    def version(self) -> str:
        """The version by its name: that of the library ends with hub, which public indexes refuse."""
        return self.filename.split("-")[1]

    @property
    def public(self) -> str:
        """The version without what follows its +."""
        return self.version.partition("+")[0]

    @property
    def is_development(self) -> bool:
        """Whether it was built from a checkout that is not a release."""
        return ".dev" in self.version

    @property
    def precedence(self) -> tuple[list[int], bool, list[int]]:
        """The key by which versions sort."""
        release, _, build = self.public.partition(".dev")
        return _numbers(release), not build, _numbers(build)

    @property
    def link(self) -> str:
        """Its address below the project's, with its digest."""
        return f"{quote(self.filename)}#sha256={self.sha256}"

    @property
    def metadata_sha256(self) -> str:
        """The digest of its metadata."""
        return sha256(self.metadata).hexdigest()

    @property
    def requires_python(self) -> str:
        """The versions of Python that it runs on."""
        return BytesParser().parsebytes(bytes(self.metadata), headersonly=True).get("Requires-Python", "")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)]
