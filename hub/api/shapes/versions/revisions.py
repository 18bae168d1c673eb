"""The shapes of revisions in our REST: history, manifest, and what may be asked of a file."""

from rest_framework import serializers as s

from hub.api.pages import Paging
from hub.api.shapes import Data
from hub.api.shapes.bases import BasePin
from hub.api.shapes.site import Plane
from hub.api.shapes.versions.lifecycle import WithdrawnWeights, Yanked


class HistoryPaging(Paging):
    rev = s.CharField(required=False, default="main", help_text="where to begin: a branch, a tag, a commit")
    collapse = s.ChoiceField(
        choices=["runs"], required=False, help_text="runs: versions that one training run pushed are one item"
    )


class Revision(s.Serializer[Data]):
    revision = s.CharField(help_text="40 hex digits")
    parent = s.CharField(allow_null=True)  # type: ignore[assignment]  # a field here, not the serializer's own
    title = s.CharField()
    message = s.CharField()
    author = s.CharField()
    created_at = s.DateTimeField()
    yanked = Yanked(allow_null=True, help_text="its owners advise against it")
    expired_at = s.DateTimeField(allow_null=True, help_text="since when a rule of retention removed its files")
    state = s.CharField(allow_null=True, help_text="of its newest verdict; null where nothing is an adapter")


class HistoryItem(Revision):
    run = Revision(many=True, required=False, help_text="with collapse=runs: the older versions of its training run")


class RevisionPage(s.Serializer[Data]):
    items = HistoryItem(many=True)
    next = s.URLField(allow_null=True)


class File(s.Serializer[Data]):
    path = s.CharField()
    size = s.IntegerField()
    sha256 = s.CharField()
    git_oid = s.CharField(help_text="sha1 of the git blob; of the LFS pointer where lfs is true")
    lfs = s.BooleanField()
    derived_from = s.CharField(
        allow_null=True, help_text="the pushed file that the hub made this one of: it is no part of the commit"
    )


class Provenance(s.Serializer[Data]):
    """The CI job that published a revision."""

    publisher = s.CharField(allow_blank=True, help_text="empty when it was removed since")
    issuer = s.CharField()
    project = s.CharField(allow_blank=True)
    job = s.CharField(allow_blank=True)
    run_url = s.CharField(allow_blank=True)
    commit = s.CharField(allow_blank=True, help_text="of the project, not of this repository")
    commit_url = s.CharField(allow_blank=True)
    claims = s.DictField(child=s.CharField())


class StatedFact(s.Serializer[Data]):
    name = s.CharField()
    value = s.JSONField(help_text="a number or a text")
    source = s.CharField(help_text="file:key")  # type: ignore[assignment]  # a field here, not the serializer's own


class Checkpoint(s.Serializer[Data]):
    """The file on which a LoRA for images was trained, by the digest in its header, beside the base of the card."""

    sha256 = s.CharField()
    base = s.CharField()
    path = s.CharField(allow_null=True, help_text="the file of the base; null: none of those that are known here")


class Training(s.Serializer[Data]):
    """Facts that trainers wrote beside the weights; stated by them and measured by nobody here."""

    facts = StatedFact(many=True, help_text="at most 60")
    losses = s.ListField(child=s.ListField(child=s.FloatField()), help_text="[step, loss], at most 120")
    losses_source = s.CharField(allow_null=True)
    words = s.ListField(child=s.CharField(), help_text="the trigger phrase of a LoRA for images, or its tags")
    checkpoint = Checkpoint(allow_null=True, help_text="null where the header has no digest, or the base is not known")


class Manifest(Revision):
    """A revision with everything it holds."""

    adapter = s.CharField()
    size = s.IntegerField()
    files = File(many=True)
    config = s.JSONField(allow_null=True, help_text="adapter_config.json, parsed")
    training = Training(allow_null=True, help_text="null for those who may not have the files")
    base = BasePin(allow_null=True)
    published_by = Provenance(allow_null=True, help_text="null where a person or robot pushed")
    tensors = s.JSONField(allow_null=True, help_text="values in the weights, all and by dtype")
    withdrawn_weights = WithdrawnWeights(allow_null=True, help_text="the newest yank of the same weights")
    plane = Plane(allow_null=True, help_text="of this hub, for when it does not answer")


class FileView(s.Serializer[Data]):
    view = s.CharField(
        required=False, max_length=40, help_text="of adapter_config.json: repaired, base, or peft-0.13 and the like"
    )
    base = s.CharField(
        required=False, max_length=200,
        help_text="with view=repaired: which of the bases that it fits; with view=base: the name that it shall say",
    )  # fmt: skip
