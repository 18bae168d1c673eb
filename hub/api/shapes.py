"""The shapes of our REST's answers and bodies, one serializer each: what the views send is what OpenAPI says."""

from typing import Any

from rest_framework import serializers as s

from dovetail.adapters.serving import ENGINES
from registry import models

Data = dict[str, Any]


def _one_of(words: list[str]) -> s.ChoiceField:
    return s.ChoiceField(words, error_messages={"invalid_choice": f"{{input}} is none of {', '.join(words)}."})


class Problem(s.Serializer[Data]):
    """RFC 9457; `code` is stable and has a heading in docs/errors.md."""

    type = s.URLField()
    title = s.CharField()
    status = s.IntegerField()
    code = s.CharField()
    detail = s.CharField()
    fix = s.CharField(allow_blank=True)


class ShortVerdict(s.Serializer[Data]):
    """What a list says of the newest verdict of main."""

    revision = s.CharField()
    state = s.CharField()
    finished_at = s.DateTimeField(allow_null=True)


class Adapter(s.Serializer[Data]):
    """An adapter in a list; sizes are bytes."""

    id = s.CharField(help_text="namespace/name")
    author = s.CharField()
    private = s.BooleanField()
    summary = s.CharField()
    format = s.CharField()
    kind = s.CharField()
    base = s.CharField()
    task = s.CharField()
    license = s.CharField()
    rank = s.IntegerField(allow_null=True)
    size = s.IntegerField()
    tags = s.ListField(child=s.CharField())
    downloads = s.IntegerField()
    likes = s.IntegerField()
    gated = s.CharField(allow_null=True, help_text="auto, manual, or null: who sees it may have the files")
    created_at = s.DateTimeField()
    updated_at = s.DateTimeField()
    verdict = ShortVerdict(allow_null=True)


class Search(s.Serializer[Data]):
    """What to look for: repeated parameters are alternatives, different ones must all hold."""

    q = s.CharField(required=False, help_text="words", max_length=200)
    base = s.ListField(child=s.CharField(), required=False)
    kind = s.ListField(child=s.CharField(), required=False)
    task = s.ListField(child=s.CharField(), required=False)
    license = s.ListField(child=s.CharField(), required=False)
    engine = s.ListField(
        child=_one_of([engine.name for engine in ENGINES]),
        required=False,
        help_text="what serves it (docs/serving.md)",
    )
    verdict = s.ListField(child=_one_of(models.Verdict.State.values), required=False)
    author = s.ListField(child=s.CharField(), required=False)
    tag = s.ListField(child=s.CharField(), required=False)
    language = s.ListField(child=s.CharField(), required=False, help_text="as the card names it: en, de …")
    rank_min = s.IntegerField(required=False, min_value=0)
    rank_max = s.IntegerField(required=False, min_value=0)
    size_max = s.IntegerField(required=False, min_value=0, help_text="bytes")
    sort = s.CharField(required=False, help_text="updated, created, downloads, likes, trending")


class Paging(s.Serializer[Data]):
    cursor = s.CharField(required=False, help_text="from next of the page before")
    limit = s.IntegerField(required=False, min_value=1, max_value=100, default=30)


class Since(s.Serializer[Data]):
    since = s.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, default=0, help_text="the last seq you have"
    )
    limit = s.IntegerField(required=False, min_value=1, max_value=1000, default=100)


class Nothing(s.Serializer[Data]):
    """A route that takes no query parameters."""


class FileView(s.Serializer[Data]):
    view = s.CharField(
        required=False, max_length=40, help_text="of adapter_config.json: repaired, base, or peft-0.13 and the like"
    )
    base = s.CharField(
        required=False, max_length=200,
        help_text="with view=repaired: which of the bases that it fits; with view=base: the name that it shall say",
    )  # fmt: skip


class Repair(s.Serializer[Data]):
    base = s.CharField(
        required=False, allow_blank=True, default="", max_length=200, help_text="where it fits several: which is meant"
    )


class Repaired(s.Serializer[Data]):
    """A pull request that names the base; nothing is changed until somebody merges it."""

    adapter = s.CharField()
    base = s.CharField()
    number = s.IntegerField()
    title = s.CharField()
    url = s.URLField()
    revision = s.CharField(help_text="what it proposes; its verdict is there as of any revision")


class FitBody(s.Serializer[Data]):
    """What decides whether an adapter fits: two small files' worth, no weights."""

    config = s.JSONField(help_text="adapter_config.json, parsed")
    header = s.JSONField(help_text="the safetensors header: its JSON object, or base64 of its bytes")


class BaseFit(s.Serializer[Data]):
    base = s.CharField()
    on_shelf = s.BooleanField(help_text="whether an adapter of it is also run here")
    tensors = s.IntegerField()
    vocabulary = s.IntegerField(allow_null=True, help_text="rows, where the adapter enlarges it")
    why = s.CharField()


class WrongShape(s.Serializer[Data]):
    tensor = s.CharField()
    found = s.ListField(child=s.IntegerField())
    expected = s.ListField(child=s.IntegerField())


class BaseMisfit(s.Serializer[Data]):
    """Why it does not fit; each list holds the first 20."""

    base = s.CharField()
    on_shelf = s.BooleanField()
    why = s.CharField()
    wrong = WrongShape(many=True)
    missing = s.ListField(child=s.CharField())
    unexpected = s.ListField(child=s.CharField())
    replaces = s.ListField(child=s.CharField())


class FitAnswer(s.Serializer[Data]):
    task = s.CharField(allow_null=True, help_text="as PEFT names it; null: the one each base was made for")
    fits = BaseFit(many=True)
    misfits = BaseMisfit(many=True)
    note = s.CharField(allow_null=True, help_text="what shapes cannot tell")
    left_out = s.IntegerField(help_text="bases that were not asked: too many, or a pattern cost too much")


class HistoryPaging(Paging):
    rev = s.CharField(required=False, default="main", help_text="where to begin: a branch, a tag, a commit")


class LogPaging(Paging):
    actor = s.CharField(required=False)
    object = s.CharField(required=False)
    action = s.CharField(required=False, help_text="noun:verb, as in adapter:quarantine")


class SearchPaging(Search, Paging):
    facets = s.BooleanField(required=False, default=False, help_text="add counts to the page")


class FacetValue(s.Serializer[Data]):
    value = s.CharField()
    count = s.IntegerField()


class AdapterPage(s.Serializer[Data]):
    items = Adapter(many=True)
    next = s.URLField(allow_null=True)
    facets = s.DictField(child=FacetValue(many=True), required=False, help_text="with facets=1")


class AdapterDetail(Adapter):
    """One adapter: the newest commit of main, the newest one that passed, its branches and tags."""

    status = s.ChoiceField(choices=["active"])
    latest = s.CharField(allow_null=True)
    verified = s.CharField(allow_null=True)
    branches = s.DictField(child=s.CharField())
    revision_tags = s.DictField(child=s.CharField())


class Revision(s.Serializer[Data]):
    revision = s.CharField(help_text="40 hex digits")
    parent = s.CharField(allow_null=True)  # type: ignore[assignment]  # a field here, not the serializer's own
    title = s.CharField()
    message = s.CharField()
    author = s.CharField()
    created_at = s.DateTimeField()
    state = s.CharField(allow_null=True, help_text="of its newest verdict; null where nothing is an adapter")


class RevisionPage(s.Serializer[Data]):
    items = Revision(many=True)
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


class BasePin(s.Serializer[Data]):
    id = s.CharField()
    revision = s.CharField(allow_null=True)
    sha256 = s.CharField(allow_null=True)


class Manifest(Revision):
    """A revision with everything it holds."""

    adapter = s.CharField()
    size = s.IntegerField()
    files = File(many=True)
    config = s.JSONField(allow_null=True, help_text="adapter_config.json, parsed")
    base = BasePin(allow_null=True)
    tensors = s.JSONField(allow_null=True, help_text="values in the weights, all and by dtype")


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
    samples = s.ListField(child=s.JSONField(), help_text="a few rows: input, expected, base, adapter")
    conditions = s.JSONField(allow_null=True, help_text="with what it was measured: rows, seed, batches")
    serving = Serving(many=True)
    fits = s.JSONField(allow_null=True, help_text="known bases that it fits by shape, when it was validated")
    path = s.CharField(help_text="the folder of the adapter that was proven, empty for the top and for several")
    contents = s.ListField(child=s.JSONField(), help_text="every adapter in it: path, format, kind, proven or not")


class Duties(s.Serializer[Data]):
    """What the licence of a base asks of adapters of it; no legal advice."""

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
    duties = Duties(allow_null=True, help_text="null: nobody knows the licence")
    files = s.DictField(child=s.CharField(), help_text="path → sha256")
    source = s.CharField(allow_null=True)  # type: ignore[assignment]  # a field here, not the serializer's own
    added_at = s.DateTimeField(allow_null=True)
    model_type = s.CharField(allow_null=True)
    tasks = s.ListField(child=s.CharField(), help_text="for which adapters can be fitted to it")


class BasePage(s.Serializer[Data]):
    items = Base(many=True)
    next = s.URLField(allow_null=True)


class OrganizationRole(s.Serializer[Data]):
    name = s.CharField()
    role = s.CharField()


class Token(s.ModelSerializer[models.Token]):
    """A token without its value, which nobody can read again."""

    class Meta:
        model = models.Token
        fields = ("id", "name", "role", "created_at", "last_used_at", "expires_at")


class Me(s.Serializer[Data]):
    name = s.CharField()
    full_name = s.CharField(allow_blank=True)
    email = s.CharField(allow_blank=True)
    role = s.CharField()
    organizations = OrganizationRole(many=True)
    token = Token(allow_null=True, help_text="the one that asked")


class Change(s.Serializer[Data]):
    """One thing that happened to an adapter."""

    seq = s.IntegerField()
    at = s.DateTimeField()
    event = s.ChoiceField(choices=models.Event.Kind.choices)
    type = s.CharField(help_text="model, dataset or space")
    adapter = s.CharField(help_text="as it was called then")
    revision = s.CharField(allow_null=True)
    data = s.DictField(  # type: ignore[assignment]  # a field, which hides nothing: the framework takes it off the class
        help_text="push: ref; verdict: state, number, check; move: before"
    )


class ChangePage(s.Serializer[Data]):
    items = Change(many=True)
    next = s.URLField(allow_null=True)


class Notification(s.Serializer[Data]):
    """One thing that somebody was told of; while it is not read, more of the same makes its `count` larger."""

    id = s.IntegerField()
    kind = s.ChoiceField(choices=models.Alert.Kind.choices)
    adapter = s.CharField()
    type = s.ChoiceField(choices=models.Adapter.Type.choices)
    revision = s.CharField(allow_null=True, help_text="of a verdict")
    state = s.CharField(allow_null=True, help_text="of a verdict")
    was = s.CharField(allow_null=True, help_text="of the same bytes before; null after a push")
    check = s.CharField(allow_null=True, help_text="the one that says no")
    discussion = s.IntegerField(allow_null=True, help_text="the number of the thread")
    by = s.CharField(allow_null=True, help_text="who did the newest of it; null where the hub speaks")
    count = s.IntegerField()
    message = s.CharField(allow_blank=True)
    url = s.URLField()
    created_at = s.DateTimeField()
    read = s.BooleanField()


class NotificationPage(s.Serializer[Data]):
    items = Notification(many=True)
    next = s.URLField(allow_null=True)


class Read(s.Serializer[Data]):
    up_to = s.IntegerField(min_value=0, max_value=2**63 - 1, help_text="the id of the newest one that was read")


class Marked(s.Serializer[Data]):
    read = s.IntegerField(help_text="how many were not read before")


class NewToken(s.Serializer[Data]):
    name = s.CharField(max_length=100)
    role = s.ChoiceField(choices=models.Token.Role.choices)
    expires_at = s.DateTimeField(required=False, allow_null=True)
    repos = s.DictField(
        child=s.ChoiceField(choices=["read", "write"]),
        required=False,
        help_text="fine-grained only: namespace/name → right",
    )


class MadeToken(Token):
    """A new token; this is the only answer that ever holds its value."""

    value = s.CharField()

    class Meta(Token.Meta):
        fields = (*Token.Meta.fields, "value")  # type: ignore[assignment]  # one more


class TokenPage(s.Serializer[Data]):
    items = Token(many=True)
    next = s.URLField(allow_null=True)


class Member(s.Serializer[Data]):
    name = s.CharField()
    full_name = s.CharField(allow_blank=True)
    role = s.ChoiceField(choices=models.Membership.Role.choices)


class MemberPage(s.Serializer[Data]):
    items = Member(many=True)
    next = s.URLField(allow_null=True)


class NewRole(s.Serializer[Data]):
    role = s.ChoiceField(choices=models.Membership.Role.choices)


class Ruling(s.Serializer[Data]):
    reason = s.CharField(max_length=500, help_text="the people who may write there read it")
    note = s.CharField(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")
    revision = s.CharField(required=False, allow_null=True, default=None, help_text="null: the whole adapter")


class Ruled(s.Serializer[Data]):
    adapter = s.CharField()
    quarantined_at = s.DateTimeField(allow_null=True)
    changed = s.BooleanField(help_text="false where it was so already")


class LogEntry(s.ModelSerializer[models.AuditEvent]):
    class Meta:
        model = models.AuditEvent
        fields = ("id", "at", "actor", "action", "object", "reason", "note", "before", "after", "request_id")


class LogPage(s.Serializer[Data]):
    items = LogEntry(many=True)
    next = s.URLField(allow_null=True)
