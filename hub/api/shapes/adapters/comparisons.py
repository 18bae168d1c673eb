"""The shapes of the differences of two revisions in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data

CHANGES = ["added", "removed", "changed"]


class Side(s.Serializer[Data]):
    revision = s.CharField(help_text="40 hex digits")
    state = s.CharField(allow_null=True, help_text="of its newest verdict; null where there is none")
    size = s.IntegerField(help_text="bytes of all files")


class FileChange(s.Serializer[Data]):
    path = s.CharField()
    change = s.ChoiceField(choices=CHANGES)
    size_before = s.IntegerField(allow_null=True)
    size_after = s.IntegerField(allow_null=True)


class KeyChange(s.Serializer[Data]):
    """One key of an adapter_config.json."""

    path = s.CharField()
    key = s.CharField()
    change = s.ChoiceField(choices=CHANGES)
    before = s.JSONField(allow_null=True)
    after = s.JSONField(allow_null=True)


class Reshaped(s.Serializer[Data]):
    tensor = s.CharField()
    before = s.ListField(child=s.IntegerField())
    after = s.ListField(child=s.IntegerField())


class Retyped(s.Serializer[Data]):
    tensor = s.CharField()
    before = s.CharField()
    after = s.CharField()


class ModuleChange(s.Serializer[Data]):
    """A pair of low-rank factors counts as the matrix that it stands for, with the scale of its config."""

    module = s.CharField()
    relative_change = s.FloatField(allow_null=True, help_text="length of the difference; null: it was zero before")
    cosine = s.FloatField(allow_null=True, help_text="1: the same direction; null: one side is zero")


class WeightsChange(s.Serializer[Data]):
    """One weight file that both revisions have."""

    path = s.CharField()
    state = s.ChoiceField(choices=["same", "compared", "waiting", "unknown"], help_text="unknown: see reason")
    reason = s.CharField(allow_null=True)
    added = s.ListField(child=s.CharField(), help_text="tensors; at most 1,000, as in the next three")
    removed = s.ListField(child=s.CharField())
    reshaped = Reshaped(many=True)
    retyped = Retyped(many=True)
    modules = ModuleChange(many=True, help_text="the largest changes first, at most 2,000")
    modules_left_out = s.IntegerField()


class EvaluationChange(s.Serializer[Data]):
    name = s.CharField()
    metric = s.CharField()
    better = s.ChoiceField(choices=["higher", "lower"])
    before = s.FloatField(allow_null=True)
    after = s.FloatField(allow_null=True)
    change = s.FloatField(allow_null=True, help_text="null unless both were measured on the same rows")
    outcome = s.ChoiceField(
        choices=["better", "worse", "equal"],
        allow_null=True,
        help_text="of the paired test of their rows; equal: within chance; null without numbers row by row",
    )
    p = s.FloatField(allow_null=True, help_text="the chance of such a difference among adapters that do not differ")


class Comparison(s.Serializer[Data]):
    """The differences from one revision to the other."""

    adapter = s.CharField()
    before = Side()
    after = Side()
    files = FileChange(many=True, help_text="at most 1,000")
    config = KeyChange(many=True)
    weights = WeightsChange(many=True, help_text="of the first 8 safetensors files that both have, derived ones too")
    evals = EvaluationChange(many=True)
