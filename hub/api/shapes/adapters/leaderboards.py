"""The shapes of leaderboards in our REST."""

from rest_framework import serializers as s

from dovetail.adapters.results import report
from hub.api.shapes import Data
from hub.api.shapes.records import shape
from hub.shared.choices import one_of
from registry.proof.leaderboards import SORTS


class MeasuredBase(s.Serializer[Data]):
    base = s.CharField()
    adapters = s.IntegerField()


class MeasuredTask(s.Serializer[Data]):
    task = s.CharField()
    adapters = s.IntegerField(help_text="measured ones that you may see")
    bases = MeasuredBase(many=True)


class LeaderboardsPage(s.Serializer[Data]):
    items = MeasuredTask(many=True)
    next = s.URLField(allow_null=True)


class OfTask(s.Serializer[Data]):
    base = s.ListField(child=s.CharField(), required=False, max_length=20, help_text="any of its names")
    sort = one_of(SORTS, required=False, default="score", help_text="of each list; the best, smallest or newest first")


class Standing(s.Serializer[Data]):
    adapter = s.CharField()
    place = s.IntegerField(allow_null=True, help_text="in this order; equals share one: 1, 1, 3. null in `alone`")
    copies = s.ListField(
        child=s.CharField(), help_text="adapters with the same weights that came later and would stand in this list"
    )
    base = s.CharField(allow_blank=True)
    revision = s.CharField(help_text="its version that measured best on these rows")
    is_verified = s.BooleanField(help_text="the version is the one that `verified` names; else one before it")
    kind = s.CharField(allow_blank=True)
    rank = s.IntegerField(allow_null=True, help_text="of `verified`; null for a version before it")
    size = s.IntegerField()
    gain = s.FloatField(
        help_text="of the metric over its trained head alone, where it has one, or the frozen base; negative: worse"
    )
    evaluation = shape(report.Evaluation)()
    engines = s.ListField(child=s.CharField(), help_text="that serve it")
    updated_at = s.DateTimeField()


class Board(s.Serializer[Data]):
    rows_of = s.CharField(
        allow_blank=True,
        help_text="the data set of the rows, else the one that the oldest adapter's card names, else `smoke.jsonl`; "
        "empty for built-in samples",
    )
    oldest = s.CharField(
        allow_null=True,
        help_text="the oldest adapter, where another board has this `rows_of`, metric and number of rows",
    )
    metric = s.CharField()
    better = s.ChoiceField(choices=["higher", "lower"])
    rows = s.FloatField()
    rows_sha256 = s.CharField()
    standings = Standing(many=True)


class TaskLeaderboards(s.Serializer[Data]):
    task = s.CharField()
    boards = Board(many=True, help_text="the longest first; all of one were measured on the same rows")
    alone = Standing(many=True)
    is_capped = s.BooleanField(help_text="there are more adapters than were compared")
