"""How a verdict looks in our REST, with its checks and what each serving engine does."""

from rest_framework import serializers as s

from hub.api.shapes import Data
from hub.api.shapes.bases import BasePin


class Check(s.Serializer[Data]):
    id = s.CharField()
    outcome = s.ChoiceField(choices=["passed", "warned", "failed", "skipped"])
    message = s.CharField()
    fix = s.CharField()
    where = s.JSONField()
    duration_ms = s.FloatField(allow_null=True)


class Serving(s.Serializer[Data]):
    """What one serving engine does with it (docs/serving.md)."""

    engine = s.CharField()
    version = s.CharField()
    outcome = s.ChoiceField(choices=["serves", "refuses", "wrong"])
    reason = s.CharField()
    flags = s.ListField(child=s.CharField())


class Verdict(s.Serializer[Data]):
    """What was proven about a revision."""

    adapter = s.CharField()
    revision = s.CharField()
    state = s.ChoiceField(choices=["queued", "running", "passed", "failed", "errored"])
    reason = s.CharField(allow_null=True, help_text="why it waits")
    attempt = s.IntegerField()
    queued_at = s.DateTimeField()
    started_at = s.DateTimeField(allow_null=True)
    finished_at = s.DateTimeField(allow_null=True)
    duration_ms = s.IntegerField(allow_null=True)
    kind = s.CharField(allow_null=True)
    format = s.CharField(allow_null=True)
    base = BasePin(allow_null=True)
    depth = s.ChoiceField(choices=["static", "fit", "run", "evaluated"], allow_null=True)
    engine = s.JSONField(allow_null=True)
    engines = s.ListField(child=s.JSONField())
    checks = Check(many=True)
    evals = s.ListField(child=s.JSONField(), help_text="metrics of base and adapter; the first one decides")
    cost = s.JSONField(allow_null=True, help_text="latency_ratio, memory_mb, adapter_mb: beside the frozen base")
    samples = s.ListField(child=s.JSONField(), help_text="a few rows: input, expected, base, adapter; none at a gate")
    conditions = s.JSONField(allow_null=True, help_text="with what it was measured: rows, seed, batches")
    serving = Serving(many=True)
    fits = s.JSONField(allow_null=True, help_text="known bases that it fits by shape, when it was validated")
    path = s.CharField(help_text="the folder of the adapter that was proven, empty for the top and for several")
    contents = s.ListField(child=s.JSONField(), help_text="every adapter in it: path, format, kind, proven or not")
