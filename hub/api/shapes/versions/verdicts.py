"""The shapes of a verdict in our REST: the columns of its row, and the fields of its report."""

from rest_framework import serializers as s

from dovetail.adapters.results.report import Report
from hub.api.shapes import Data
from hub.api.shapes.records import field
from hub.api.shapes.versions.lifecycle import WithdrawnWeights
from hub.api.shapes.versions.regressions import Eligibility, Regression


class Renewal(s.Serializer[Data]):
    """A newer validation of the same revision, which has not ended, or has errored."""

    state = s.ChoiceField(choices=["queued", "running", "errored"])
    reason = s.CharField(allow_null=True, help_text="why it waits, or what went wrong")
    attempt = s.IntegerField()
    queued_at = s.DateTimeField()
    started_at = s.DateTimeField(allow_null=True)
    finished_at = s.DateTimeField(allow_null=True)
    request_id = s.CharField(allow_null=True, help_text="of the request that asked for it; to those who may write here")


class Verdict(s.Serializer[Data]):
    """The proof of a revision."""

    adapter = s.CharField()
    revision = s.CharField()
    state = s.ChoiceField(choices=["queued", "running", "passed", "failed", "errored"])
    renewal = Renewal(allow_null=True, help_text="this verdict is in force until that one has ended")
    errored_renewal = Renewal(allow_null=True, help_text="the newest one errored, so this verdict stays in force")
    reason = s.CharField(allow_null=True, help_text="why it waits")
    incomplete = s.CharField(allow_null=True, help_text="what is missing, after a push that broke off")
    attempt = s.IntegerField()
    queued_at = s.DateTimeField()
    started_at = s.DateTimeField(allow_null=True)
    finished_at = s.DateTimeField(allow_null=True)
    duration_ms = s.IntegerField(allow_null=True)
    request_id = s.CharField(allow_null=True, help_text="of the request that asked for it; to those who may write here")
    kind = s.CharField(allow_null=True)
    format = s.CharField(allow_null=True)
    base = field(Report, "base")
    depth = field(Report, "depth")
    engine = field(Report, "engine")
    engines = field(Report, "engines")
    checks = field(Report, "checks")
    evals = field(Report, "evals", help_text="metrics of base and adapter; the first one decides")
    cost = field(Report, "cost", help_text="latency_ratio, memory_mb, adapter_mb: beside the frozen base")
    samples = field(Report, "samples", help_text="a few rows: input, expected, base, adapter; none at a gate")
    usage = field(Report, "usage", help_text="how it is loaded, and a row to try it on; null where none ran it")
    programs = field(Report, "programs", help_text="what became of the programs of Use when an engine ran them")
    conditions = field(Report, "conditions", help_text="with what it was measured: rows, seed, batches")
    strength = field(Report, "strength", help_text="score, effect and drift at scales from 0 to 1.25")
    serving = field(Report, "serving")
    fits = field(Report, "fits", help_text="known bases that it fits by shape, when it was validated")
    path = field(Report, "path", help_text="the folder that was proven; empty for the top, and for several")
    contents = field(
        Report,
        "contents",
        help_text="every adapter in it: path, format, kind; of one that was proven its state, depth, failed, serves; "
        "of several proven ones the `serving` of each, with its flags and commands",
    )
    verified = Eligibility()
    regression = Regression(allow_null=True, help_text="beside the verified version before it; null for a first one")
    withdrawn_weights = WithdrawnWeights(allow_null=True, help_text="the newest yank of the same weights")


REPORT_FIELDS = (
    "base", "depth", "engine", "engines", "checks", "evals", "cost", "samples", "usage", "programs",
    "conditions", "strength", "serving", "fits", "path", "contents",
)  # fmt: skip
