"""Other forms of a version: what it was made of, what was made of it, the forms that ask for more; and its lineage."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, ClassVar

from django import forms
from django.forms import BaseFormSet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from dovetail.adapters import convert
from dovetail.adapters.merge import MAX_RANK, MAX_SOURCES, Recipe
from features.derived import lineage as lineages
from features.derived import verbs
from features.derived.lineage import TAGS, Step, Steps
from features.derived.models import DerivedVersion
from features.derived.verbs import Origin, is_merge
from hub.site import routing
from hub.site.forms import Form, Option, Refusals, choice_field, name_field, posted
from hub.site.panels import Pages, Panel
from hub.site.proof import document
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import header_at_revision, repository_page
from hub.site.versions.commits import Yank, commit_page
from hub.site.visitor import caller
from registry.kernel.errors import (
    NotAllowed,
    RegistryError,
    RepositoryNotFound,
    RevisionNotFound,
    ValueInvalid,
)
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Verdict
from registry.repos import lookup
from registry.repos.refs import Viewer

MORE_ROWS = 2
MAX_SEED = 2**31 - 1

FORMS = {
    "peft": "PEFT",
    "kohya": _("kohya, for image programs"),
    "diffusers": "diffusers",
    "mlx": _("MLX, for mlx-lm"),
    "gguf": _("GGUF, for llama.cpp"),
    "safetensors": _("safetensors in place of .bin"),
    "bin": _(".bin, as written by torch.save"),
    "fp16": _("fp16, half precision"),
    "bf16": _("bf16, half precision"),
    "slim": _("slim, without copies of the base's embeddings"),
    "peft-lora": _("LoRA of a rank, of any method of PEFT"),
}

METHODS = [
    ("linear", Option("Linear", _("The weighted sum; adapters of one rank."))),
    ("cat", Option("Cat", _("The exact sum; its rank is the sum of the ranks."))),
    ("svd", Option("SVD", _("The best sum for the rank that you choose."))),
    (
        "ties",
        Option("TIES", _("Keeps the largest values, and averages those whose signs agree; adapters of one rank.")),
    ),
    (
        "dare_linear",
        Option("DARE linear", _("Drops a random share, rescales the rest, adds; adapters of one rank.")),
    ),
    (
        "dare_ties",
        Option("DARE TIES", _("Drops a random share, rescales the rest, then as TIES; adapters of one rank.")),
    ),
]


def weight_field() -> forms.FloatField:
    widget = forms.NumberInput(attrs={"step": "any"})
    return forms.FloatField(label=_("Weight"), required=False, initial=1, widget=widget)


class Derive(Form):
    to = forms.CharField(
        label=_("Form"),
        help_text=_("Lossless, or refused with a reason; fp16 and bf16 state their largest error."),
        widget=forms.Select,
        required=False,
    )
    alpha = forms.FloatField(
        label=_("Alpha"),
        help_text=_("A file of loralib does not say it. Empty: `lora_alpha` of the card."),
        required=False,
        widget=forms.NumberInput(attrs={"step": "any", "min": 0}),
    )
    rank = forms.IntegerField(
        label=_("Rank"),
        help_text=_("Of a LoRA that is made of another method; what it loses is told."),
        required=False,
        widget=forms.NumberInput(attrs={"min": 1, "max": MAX_RANK}),
    )
    enable_lora = name_field(
        _("Adapted parts"),
        _("Of merged linears, as GPT-2's: `true,false,true` for q and v. Empty: `enable_lora` of the card."),
        maxlength=48,
        required=False,
    )
    into = name_field(
        _("Into"),
        _("The id of a repository that gets it as its next version. Empty: a branch of this one."),
        maxlength=200,
        required=False,
    )
    fields_of: ClassVar[Refusals] = {
        RepositoryNotFound: "into",
        NotAllowed: "into",
        ValueInvalid: "to",
    }

    def __init__(self, *args: Any, formats: Sequence[str], has_branch: bool, family: str, **options: Any) -> None:
        """`family`: the source's format. `has_branch`: the person may write there: the result may be a branch."""
        super().__init__(*args, **options)
        self.formats = formats
        if family != "loralib":
            del self.fields["alpha"], self.fields["enable_lora"]
        if not has_branch:
            into = self.fields["into"]
            into.help_text = "The id of an adapter of yours whose next version it becomes."
            into.widget.attrs["required"] = True
        if "peft-lora" not in formats and family != "lycoris":
            del self.fields["rank"]
        widget = self.fields["to"].widget
        assert isinstance(widget, forms.Select)
        widget.choices = [(name, FORMS.get(name, name)) for name in formats]


class Merge(Form):
    weight = weight_field()
    method = choice_field(_("Method"), METHODS, METHODS[0][0])
    density = forms.FloatField(
        label=_("Density"),
        help_text=_("TIES and DARE: the share of values to keep."),
        required=False,
        initial=1,
        widget=forms.NumberInput(attrs={"step": "any", "min": 0, "max": 1}),
    )
    rank = forms.IntegerField(
        label=_("Rank"),
        help_text=_("SVD; 0 for the largest."),
        required=False,
        initial=0,
        widget=forms.NumberInput(attrs={"min": 0, "max": MAX_RANK}),
    )
    seed = forms.IntegerField(
        label=_("Seed"),
        help_text=_("DARE: the same seed drops the same values."),
        required=False,
        initial=0,
        min_value=0,
        max_value=MAX_SEED,
    )
    head = name_field(
        _("Head"),
        _("Of adapters with trained heads, as classifiers: the id of the one whose head is kept, or `average`."),
        maxlength=200,
        required=False,
    )
    into = name_field(
        _("Result"), _("The id of the adapter that gets it as its next version, such as `you/both`."), maxlength=200
    )
    fields_of: ClassVar[Refusals] = {RepositoryNotFound: "into", NotAllowed: "into"}

    @property
    def recipe(self) -> Recipe:
        """The method and its numbers; a field that was left empty has its usual value."""
        typed = {name: self.cleaned_data[name] for name in ("method", "density", "rank", "seed")}
        return Recipe(**{name: value for name, value in typed.items() if value not in (None, "")})


class MergeSource(Form):
    """Another adapter of a merge; a row without its name counts as empty."""

    adapter = name_field(_("Adapter"), maxlength=200, placeholder="acme/two", required=False)
    revision = name_field(_("Version"), maxlength=200, placeholder="main", required=False)
    weight = weight_field()
    fields_of: ClassVar[Refusals] = {RevisionNotFound: "revision", RegistryError: "adapter"}


MergeSources = forms.formset_factory(
    MergeSource, extra=MORE_ROWS, max_num=MAX_SOURCES - 1, absolute_max=MAX_SOURCES - 1
)


def _origin(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what a version was made of; None for one that somebody pushed."""
    header = page["header"]
    origin = verbs.made_of(header.revision) if header.repository.type == Repository.Type.MODEL else None
    return {"made_of": origin, "made_of_sources": verbs.shown_sources(origin, header.by)} if origin else None


def _made_from(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what was made of a version, and for people the form that asks for more, with what was wrong in it."""
    header = page["header"]
    if header.repository.type != Repository.Type.MODEL:
        return None
    derived = _with_verdicts(verbs.made_from(header.revision, header.by))
    return {
        "derived": derived,
        "derived_waits": any(not row.is_final for row, _ in derived),
        "derive_form": page.get("refused") or _derive_form(header),
        "may_merge": _may_merge(header),
    }


def _forms(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the other forms of a version, and for people the form that asks for more; None without both."""
    header = page["header"]
    if header.repository.type != Repository.Type.MODEL:
        return None
    forms = [row for row in verbs.made_from(header.revision, header.by) if not is_merge(row)]
    form = _derive_form(header)
    shown = {"other_forms": _with_verdicts(forms), "derive_form": form, "may_merge": _may_merge(header)}
    return shown if forms or form else None


def derive_form(header: RepositoryHeader, data: QueryDict | None = None) -> Derive:
    """Return the form with what can be made of the version, as far as its format tells."""
    family = str(header.described["format"])
    formats = convert.results_of(family, header.entries)
    has_branch = header.may_write and not header.repository.source
    return Derive(data, formats=formats, has_branch=has_branch, family=family)


def _derive_form(header: RepositoryHeader) -> Derive | None:
    """Return the form; None for strangers, and where nothing can be made."""
    form = derive_form(header) if header.by.user is not None else None
    return form if form and form.formats else None


def _may_merge(header: RepositoryHeader) -> bool:
    return header.by.user is not None and header.described["format"] == "peft"


def _with_verdicts(rows: list[DerivedVersion]) -> list[tuple[DerivedVersion, Any]]:
    """Return each row with its newest verdict, as pages show it."""
    done = [row.revision_id for row in rows if row.revision_id]
    newest = Verdict.objects.filter(revision__in=done).order_by("number") if done else []
    verdicts = {verdict.revision_id: document(verdict) for verdict in newest}
    return [(row, verdicts.get(row.revision_id or 0)) for row in rows]


def derive(request: HttpRequest, address: routing.RepositoryAddress, rev: str) -> HttpResponse:
    header = header_at_revision(request, address, rev, Permission.BROWSE)
    form = derive_form(header, request.POST)
    if form.is_valid():
        by, given = caller(request), form.cleaned_data
        with form:
            into = lookup.find(given["into"], by, Permission.BROWSE) if given["into"] else None
            asked = {key: given[key] for key in ("alpha", "enable_lora", "rank") if given.get(key)}
            verbs.request_conversion(header.revision, given["to"], by, into, asked)
            return _shown(header)
    return commit_page(request, header, Yank(), form)


@require_http_methods(["GET", "POST"])
def merge(request: HttpRequest, address: routing.RepositoryAddress, rev: str) -> HttpResponse:
    """Show the form; on POST queue the merge, or show what is wrong beside its field, or with `more` add empty rows."""
    header = header_at_revision(request, address, rev, Permission.DOWNLOAD)
    form, others = Merge(posted(request)), MergeSources(posted(request), prefix="others")
    if "more" in request.POST:
        return _merge_page(request, header, form, _with_more_rows(others, request.POST), 200)
    if request.method == "POST" and form.is_valid() and others.is_valid():
        origins = _origins(others, header.by)
        if all(not row.errors for row in others):
            with form:
                first = Origin(header.revision, _weight(form))
                into = _target(form.cleaned_data["into"], header.by)
                head = verbs.chosen_head(form.cleaned_data["head"], [first, *origins])
                recipe = replace(form.recipe, head=head)
                verbs.request_merge([first, *origins], recipe, header.by, into)
                return _shown(header)
    status = max([form.status, *(row.status for row in others)])
    return _merge_page(request, header, form, others, status)


def _with_more_rows(others: "BaseFormSet[MergeSource]", sent: QueryDict) -> "BaseFormSet[MergeSource]":
    data = sent.copy()
    data["others-TOTAL_FORMS"] = str(min(others.total_form_count() + MORE_ROWS, others.max_num))
    return MergeSources(data, prefix="others")


def _shown(header: RepositoryHeader) -> HttpResponse:
    """Lead to the list in which the request waits."""
    return redirect(f"{reverse('commit', args=[header.repository, header.revision.oid])}#derived")


def _merge_page(
    request: HttpRequest, header: RepositoryHeader, form: Merge, others: "BaseFormSet[MergeSource]", status: int
) -> HttpResponse:
    shown = {"header": header, "tab": "versions", "form": form, "others": others}
    return render(request, "derived/merge.html", shown, status=status)


def _origins(others: Iterable[MergeSource], by: Caller) -> list[Origin]:
    """Return the versions that the rows name; a row whose version cannot be merged gets the refusal."""
    origins = []
    for row in others:
        given = row.cleaned_data
        if name := given.get("adapter"):
            with row:
                rev = given["revision"] or "main"
                origins.append(verbs.find_origin(name, rev, _weight(row), Viewer(by)))
    return origins


def _weight(form: Merge | MergeSource) -> float:
    weight = form.cleaned_data["weight"]
    return 1.0 if weight is None else float(weight)


def _target(name: str, by: Caller) -> Repository:
    if not name:
        raise ValueInvalid("A merge needs a target adapter.", fix="Choose one that you may write to.", field="into")
    return lookup.find(name, by, Permission.BROWSE)


@dataclass(frozen=True, slots=True)
class Node:
    """A repository in a tree, the method of the step that leads to it, and the nodes below it."""

    repository: Repository
    method: str
    below: list["Node"]


@repository_page
def lineage(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    found = lineages.read(header.repository, header.entries, header.facts.bases, header.by)
    tag = TAGS.get(header.repository.type)
    shown = {
        "header": header,
        "tab": "overview",
        "subpage": "lineage",
        "found": found,
        "sources": _tree(found.made_from, header.repository, attrgetter("result"), attrgetter("source")),
        "results": _tree(found.made_of_it, header.repository, attrgetter("source"), attrgetter("result")),
        "tag": f"{tag}:{header.repository.full_name}" if tag else "",
    }
    return render(request, "derived/lineage.html", shown)


def _tree(
    steps: Steps, root: Repository, near: Callable[[Step], Repository], far: Callable[[Step], Repository]
) -> list[Node]:
    """Return the nodes next to the root; each step hangs below the node that it begins at."""
    below = defaultdict(list)
    for step in steps.items:
        below[near(step).pk].append(step)

    def nodes(of: int) -> list[Node]:
        return [Node(far(step), step.method, nodes(far(step).pk)) for step in below[of]]

    return nodes(root.pk)


def _of_hub(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return nothing more for repositories of this hub; None for those of another, whose lineage is there."""
    return None if page["header"].repository.source else {}


AT = "<repository:address>"
PAGES = Pages(
    routes=[
        routing.at(f"{AT}/lineage", lineage, "lineage"),
        routing.at(f"{AT}/commit/<str:rev>/merge", merge, "merge-versions"),
        *routing.forms("commit", f"{AT}/commit/<str:rev>", ("derive", derive, "derive")),
    ],
    panels=(
        Panel("facts-end", "derived/fact.html", _of_hub),
        Panel("commit-message", "derived/made_of.html", _origin),
        Panel("commit", "derived/made_from.html", _made_from),
        Panel("other-forms", "derived/forms.html", _forms),
    ),
)
