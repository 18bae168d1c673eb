"""The shapes of base models in our REST, and how a revision or a verdict names one."""

from rest_framework import serializers as s

from dovetail.adapters.results import report
from hub.api.pages import Paging
from hub.api.shapes import Data
from hub.api.shapes.records import shape

BasePin = shape(report.BasePin)


class Duties(s.Serializer[Data]):
    """Duties that the license of a base puts on its adapters; no legal advice."""

    needs_notice = s.BooleanField()
    needs_name_prefix = s.CharField(allow_null=True, help_text="how the name of an adapter has to begin")
    non_commercial = s.BooleanField()
    share_alike = s.BooleanField()


class Base(s.Serializer[Data]):
    id = s.CharField()
    adapters = s.IntegerField(help_text="how many you may see name it, by any of its names")
    on_shelf = s.BooleanField(help_text="false with a revision: known by its config alone, fitted to and never run")
    revision = s.CharField(allow_null=True)
    sha256 = s.CharField(allow_null=True)
    size = s.IntegerField(allow_null=True)
    license = s.CharField(allow_null=True)


class BaseDetail(Base):
    """One base with all that is known of it."""

    aliases = s.ListField(child=s.CharField(), help_text="other names that mean it here, also of quantised copies")
    duties = Duties(allow_null=True, help_text="null: nobody knows the license")
    files = s.DictField(child=s.CharField(), help_text="path → sha256")
    source = s.CharField(allow_null=True)  # type: ignore[assignment]  # a field here, not the serializer's own
    added_at = s.DateTimeField(allow_null=True)
    asked_by = s.IntegerField(help_text="how many people ask the administrators for it")
    model_type = s.CharField(allow_null=True)
    tasks = s.ListField(child=s.CharField(), help_text="for which adapters can be fitted to it")


class BasePage(s.Serializer[Data]):
    items = Base(many=True)
    next = s.URLField(allow_null=True)


class LeaderboardPaging(Paging):
    task = s.ListField(child=s.CharField(), required=False, help_text="repeated ones are alternatives")


class Rank(s.Serializer[Data]):
    """The measurements of one adapter."""

    adapter = s.CharField()
    revision = s.CharField(help_text="that was measured: `verified`")
    task = s.CharField(allow_blank=True)
    kind = s.CharField(allow_blank=True)
    score = s.FloatField(help_text="gain of the first metric over the frozen base; negative: worse")
    evals = shape(report.Evaluation)(many=True)
    finished_at = s.DateTimeField()


class LeaderboardPage(s.Serializer[Data]):
    items = Rank(many=True)
    next = s.URLField(allow_null=True)
