"""Requests and answers of our REST about derived versions and their lineage."""

from rest_framework import serializers as s

from hub.api.shapes import Data, Text


class Other(s.Serializer[Data]):
    adapter = Text(max_length=200, help_text="namespace/name")
    revision = Text(required=False, default="main", max_length=200, help_text="a branch, a tag, an alias or a commit")
    weight = s.FloatField(required=False, default=1.0)


class Derive(s.Serializer[Data]):
    """Either `to`, a format or variant; or `method` and `others`, a merge of this version with others."""

    to = Text(
        required=False, allow_blank=True, default="", max_length=16,
        help_text="peft, kohya, diffusers, mlx, gguf, safetensors, bin, fp16, bf16, slim or peft-lora",
    )  # fmt: skip
    method = Text(
        required=False, allow_blank=True, default="", max_length=16,
        help_text="linear, cat, svd, ties, dare_linear or dare_ties",
    )  # fmt: skip
    others = Other(many=True, required=False, default=list)
    weight = s.FloatField(required=False, default=1.0, help_text="of this version in a merge")
    density = s.FloatField(required=False, default=1.0, help_text="ties, dare: the share of values that is kept")
    rank = s.IntegerField(
        required=False,
        default=0,
        min_value=0,
        max_value=1024,
        help_text="svd, peft-lora, and of LyCORIS; 0: of svd the largest",
    )
    seed = s.IntegerField(required=False, default=0, min_value=0, max_value=2**31 - 1, help_text="dare")
    head = Text(
        required=False, allow_blank=True, default="", max_length=200,
        help_text="of trained heads: namespace/name of the adapter whose head is kept, its number, or average",
    )  # fmt: skip
    alpha = s.FloatField(
        required=False,
        allow_null=True,
        default=None,
        help_text="of loralib: its alpha; without it lora_alpha of the card",
    )
    enable_lora = Text(
        required=False, allow_blank=True, default="", max_length=48,
        help_text="of loralib: true or false for each part of a merged linear; without it enable_lora of the card",
    )  # fmt: skip
    into = Text(
        required=False, allow_blank=True, default="", max_length=200,
        help_text="namespace/name whose next version the result is; a merge needs one",
    )  # fmt: skip


class DerivedSource(s.Serializer[Data]):
    adapter = s.CharField(allow_null=True, help_text="null where the caller may not see it")
    revision = s.CharField(allow_null=True, help_text="40 hex digits")
    weight = s.FloatField(help_text="1 in a conversion")


class DerivedVersion(s.Serializer[Data]):
    id = s.IntegerField()
    adapter = s.CharField(help_text="where the result is")
    ref = s.CharField(help_text="the branch that it was committed to")
    method = s.CharField()
    options = s.DictField(help_text="numbers and words of the request")
    state = s.ChoiceField(choices=["queued", "running", "done", "refused", "errored"])
    reason = s.CharField(allow_null=True, help_text="why it was refused, failed, or waits")
    revision = s.CharField(allow_null=True, help_text="the result; its verdict is there as of any revision")
    verdict = s.CharField(allow_null=True, help_text="state of its newest verdict")
    lossless = s.BooleanField(allow_null=True, help_text="null until it is done")
    largest_error = s.FloatField(allow_null=True, help_text="of another precision, in `tensor`")
    tensor = s.CharField(allow_null=True)
    lost = s.FloatField(allow_null=True, help_text="of peft-lora, LyCORIS: the share of the change that a rank loses")
    by = s.CharField()
    created_at = s.DateTimeField()
    finished_at = s.DateTimeField(allow_null=True)
    sources = DerivedSource(many=True)


class Lineage(s.Serializer[Data]):
    made_of = DerivedVersion(allow_null=True, help_text="how this version was derived; null where somebody pushed it")
    derived = DerivedVersion(many=True, help_text="what was derived of it, newest first")
