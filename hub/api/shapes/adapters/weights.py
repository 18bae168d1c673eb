"""The shapes of what was measured of weights in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data
from registry import models


class ModuleWeights(s.Serializer[Data]):
    """A pair of low-rank factors counts as the matrix that it stands for, with the scale of its config."""

    module = s.CharField()
    rank = s.IntegerField(help_text="0: a tensor that is no pair of factors; of it only the norm is measured")
    effective_rank = s.FloatField(allow_null=True, help_text="e to the power of the entropy of the singular values")
    norm = s.FloatField(allow_null=True, help_text="Frobenius norm; null: a value is not finite")
    largest = s.FloatField(allow_null=True, help_text="the largest singular value")
    base_norm = s.FloatField(allow_null=True, help_text="Frobenius norm of the base's weights of this module")
    share = s.FloatField(allow_null=True, help_text="norm by base_norm")
    reason = s.CharField(allow_null=True, help_text="why the share is not known")


class LayerWeights(s.Serializer[Data]):
    """The modules of a layer together, those whose share is known."""

    layer = s.CharField()
    norm = s.FloatField()
    base_norm = s.FloatField()
    share = s.FloatField(allow_null=True)


class BaseOfWeights(s.Serializer[Data]):
    """The base whose norms the shares are of: the one of the verdict, else the one that the config names."""

    id = s.CharField(allow_null=True)
    sha256 = s.CharField(allow_null=True)
    reason = s.CharField(allow_null=True, help_text="why its norms are not known")


class Outlier(s.Serializer[Data]):
    """A module whose norm is more than 10 times the median of the modules of its kind."""

    module = s.CharField()
    times = s.FloatField(help_text="its norm by the median")
    kind = s.CharField(help_text="the last part of the names of these modules, such as q_proj")
    population = s.IntegerField(help_text="how many adapters or modules the median is of")
    of = s.ChoiceField(
        choices=["adapters", "modules"],
        help_text="adapters: public ones for the same base by the same method; modules: those of this file",
    )


class RelativeWeights(s.Serializer[Data]):
    """The newest revision of another repository that holds nearly the same weights."""

    adapter = s.CharField()
    type = s.ChoiceField(choices=models.Repository.Type.choices)
    revision = s.CharField()
    path = s.CharField()
    cosine = s.FloatField(help_text="mean over the modules, estimated; 1: the same weights; behind a gate in tenths")
    relation = s.ChoiceField(
        choices=["copy", "near", "part"],
        help_text="copy: the same weights, perhaps with other factors, scales, names or dtype; part: the modules of "
        "the smaller file are in the other, as they are or mixed with others, and the cosine is theirs",
    )
    original = s.BooleanField(help_text="of a copy: its weights were pushed to this hub before these")


class WeightFile(s.Serializer[Data]):
    path = s.CharField()
    sha256 = s.CharField()
    spectrum = s.ListField(child=s.FloatField(), help_text="mean singular values as shares of the largest; at most 64")
    modules = ModuleWeights(many=True, help_text="at most 2,000")
    modules_left_out = s.IntegerField()
    layers = LayerWeights(many=True, help_text="at most 2,000")
    base = BaseOfWeights()
    outliers = Outlier(many=True, help_text="at most 20; information, never a verdict")
    relatives = RelativeWeights(many=True, help_text="the nearest first, at most 10")


class Weights(s.Serializer[Data]):
    adapter = s.CharField()
    revision = s.CharField()
    files = WeightFile(many=True, help_text="at most 8")
