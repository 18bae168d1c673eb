"""The shapes of the comparison with the verified version before, and of its override, in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text
from registry.models import Regression as Row
from registry.repos.eligibility import REASONS

NUMBERS = ("metric", "better", "before", "now", "difference", "interval", "rows", "test", "p")


class NewOverride(s.Serializer[Data]):
    reason = Text(max_length=500, help_text="public, at least 10 characters: why the number is right")


class Override(s.Serializer[Data]):
    by = s.CharField()
    at = s.DateTimeField()
    reason = s.CharField()


class Regression(s.Serializer[Data]):
    """The comparison of a revision with the one that `verified` would name without it."""

    state = s.ChoiceField(choices=["open", "held", "overridden"], help_text="held: `verified` passes it by")
    outcome = s.ChoiceField(choices=Row.Outcome.values, help_text="worse and better are beyond chance")
    against = s.CharField(allow_null=True, help_text="40 hex digits; null where no verified version comes before it")
    reason = s.CharField(help_text="the outcome as a sentence")
    metric = s.CharField(allow_null=True)
    better = s.ChoiceField(choices=["higher", "lower"], allow_null=True)
    before = s.FloatField(allow_null=True)
    now = s.FloatField(allow_null=True)
    difference = s.FloatField(allow_null=True, help_text="now minus before, as the mean of the rows")
    interval = s.ListField(child=s.FloatField(), allow_null=True, help_text="of the difference, two-sided at 95 %")
    rows = s.IntegerField(allow_null=True)
    test = s.ChoiceField(choices=["mcnemar-exact", "sign-flip-permutation"], allow_null=True)
    p = s.FloatField(allow_null=True, help_text="one-sided: how often chance alone does so much harm")
    notes = s.ListField(child=s.CharField(), help_text="what else differs between the two measurements")
    override = Override(allow_null=True)


class Eligibility(s.Serializer[Data]):
    """Whether `verified` may name a revision."""

    may = s.BooleanField()
    because = s.ChoiceField(
        choices=sorted(REASONS), allow_null=True, help_text="why not; null where the verdict itself says no"
    )
    until = s.DateTimeField(allow_null=True, help_text="when that ends by itself; null: it does not")
    is_run = s.BooleanField(help_text="false: its shapes fit, and no engine ran it")
    reason = s.CharField(allow_null=True, help_text="`because` as a sentence")
    fix = s.CharField(allow_null=True)
    overridable = s.BooleanField(help_text="an owner can let it become verified with a public reason")


class RevisionRegression(s.Serializer[Data]):
    revision = s.CharField(help_text="40 hex digits")
    verified = Eligibility()
    regression = Regression(allow_null=True)
