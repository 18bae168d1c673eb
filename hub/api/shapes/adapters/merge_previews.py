"""The shapes of the preview of a merge in our REST."""

from rest_framework import serializers as s

from hub.api.shapes import Data


class MergeOther(s.Serializer[Data]):
    other = s.CharField(max_length=400, help_text="the other adapter: NS/NAME or NS/NAME@REV")


class MergeSide(s.Serializer[Data]):
    adapter = s.CharField()
    revision = s.CharField()
    path = s.CharField(allow_null=True, help_text="the file whose weights were compared")


class MergeSum(s.Serializer[Data]):
    """The sum of both changes, with the scales of their configs."""

    norms = s.ListField(child=s.FloatField(), help_text="of both, Frobenius")
    merged = s.FloatField(help_text="norm of the sum")
    cosine = s.FloatField()
    growth = s.FloatField(help_text="merged by the norm that a sum of orthogonal changes has: below 1 they cancel")
    changed = s.ListField(
        child=s.FloatField(),
        help_text="interference: what the other adds on the inputs that this one reads, by its own norm; both ways",
    )


class SubspaceOverlap(s.Serializer[Data]):
    """Two subspaces, by principal angles; the overlap is that of section 7.2 of the paper on LoRA, 0 to 1."""

    overlap = s.FloatField()
    by_chance = s.FloatField(help_text="the mean of two random subspaces of these dimensions")
    distance = s.FloatField(help_text="projection metric: the norm of the sines of the angles")
    dimensions = s.ListField(child=s.IntegerField())
    angles = s.ListField(child=s.FloatField(), help_text="principal angles in degrees, the smallest first; at most 64")


class MergeOfModule(MergeSum):
    module = s.CharField()
    columns = SubspaceOverlap(help_text="the spaces in which both write")
    rows = SubspaceOverlap(help_text="the spaces that both read")
    sign_conflict = s.FloatField(
        allow_null=True, help_text="share of opposite signs among the values in the largest fifth of both (TIES)"
    )
    kept_by_both = s.FloatField(help_text="the share of all values that these are; of a sample of rows")


class MergePreview(MergeSide):
    """The modules of both adapters that have the same name and shape."""

    other = MergeSide()
    reason = s.CharField(allow_null=True, help_text="why nothing was compared")
    shared = s.IntegerField(help_text="modules of the same name and shape")
    compared = s.IntegerField(help_text="of these, spread evenly; at most 64")
    alone = s.ListField(child=s.IntegerField(), help_text="modules that one of them alone has")
    total = MergeSum(allow_null=True, help_text="all compared modules together")
    column_overlap = s.FloatField(allow_null=True, help_text="mean over the modules, as the rest")
    column_overlap_by_chance = s.FloatField(allow_null=True)
    row_overlap = s.FloatField(allow_null=True)
    row_overlap_by_chance = s.FloatField(allow_null=True)
    sign_conflict = s.FloatField(allow_null=True)
    modules = MergeOfModule(many=True)
