"""The shapes of the pinned composition of a revision in our REST."""

from rest_framework import serializers as s

from dovetail.adapters.results.report import Report
from hub.api.shapes import Data
from hub.api.shapes.records import field


class LockedFile(s.Serializer[Data]):
    path = s.CharField()
    size = s.IntegerField()
    sha256 = s.CharField()


class LockedBaseFile(s.Serializer[Data]):
    path = s.CharField()
    size = s.IntegerField(allow_null=True, help_text="null where the hub does not serve the base")
    sha256 = s.CharField()


class LockedBase(s.Serializer[Data]):
    """The base model that the verdict was made with."""

    id = s.CharField()
    revision = s.CharField(allow_null=True)
    sha256 = s.CharField(allow_null=True, help_text="over the sorted paths and digests of its files")
    files = LockedBaseFile(many=True, help_text="empty if the hub holds another version of it by now")


class LockedPart(s.Serializer[Data]):
    """One of several adapters of a revision."""

    path = s.CharField(help_text="its folder, or its weights where no config lies beside them")
    serving = field(Report, "serving", help_text="serving engines that take it, with flags that name it alone")


class Lock(s.Serializer[Data]):
    """Everything that has to be the same elsewhere for a revision to answer as it did when it was proven."""

    adapter = s.CharField()
    revision = s.CharField(help_text="40 hex digits")
    state = s.CharField(allow_null=True, help_text="of its newest finished verdict; null where there is none")
    kind = s.CharField(allow_null=True)
    format = s.CharField(allow_null=True)
    files = LockedFile(many=True, help_text="pushed ones, and those that the hub made of them")
    base = LockedBase(allow_null=True)
    engine = field(Report, "engine", help_text="the engine that decided, with the versions of its libraries")
    engines = field(Report, "engines")
    serving = field(
        Report, "serving", help_text="serving engines that take it, with their flags; of `parts` without a folder"
    )
    parts = LockedPart(many=True, help_text="of several adapters each; else empty")
    merge_order = s.ListField(
        child=s.CharField(allow_blank=True),
        help_text="folders of its adapters, in the order in which they are put on the base; empty for the top",
    )
