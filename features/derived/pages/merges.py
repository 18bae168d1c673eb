"""Merges of versions: the form with its sources, its method and its result, and the request."""

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from django import forms
from django.forms import BaseFormSet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from dovetail.adapters.merge import MAX_RANK, MAX_SOURCES, Recipe
from features.derived import verbs
from features.derived.verbs import Origin
from hub.site import routing
from hub.site.forms import Form, Option, Refusals, choice_field, name_field, posted
from hub.site.repository.repository_header import RepositoryHeader, header_at_revision
from registry.kernel.errors import NotAllowed, RegistryError, RepositoryNotFound, RevisionNotFound, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import Repository
from registry.repos import lookup
from registry.repos.refs import Viewer

MORE_ROWS = 2
MAX_SEED = 2**31 - 1

METHODS = [
    ("linear", Option("Linear", _("The weighted sum; adapters of one rank."))),
    ("cat", Option("Cat", _("The exact sum; its rank is the sum of the ranks."))),
    ("svd", Option("SVD", _("The best sum for the rank that you choose."))),
    (
        "ties",
        Option("TIES", _("Keeps the largest values, and averages those whose signs agree; adapters of one rank.")),
    ),
    ("dare_linear", Option("DARE linear", _("Drops a random share, rescales the rest, adds; adapters of one rank."))),
    (
        "dare_ties",
        Option("DARE TIES", _("Drops a random share, rescales the rest, then as TIES; adapters of one rank.")),
    ),
]


def weight_field() -> forms.FloatField:
    widget = forms.NumberInput(attrs={"step": "any"})
    return forms.FloatField(label=_("Weight"), required=False, initial=1, widget=widget)


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
                return requested(header)
    status = max([form.status, *(row.status for row in others)])
    return _merge_page(request, header, form, others, status)


def _with_more_rows(others: "BaseFormSet[MergeSource]", sent: QueryDict) -> "BaseFormSet[MergeSource]":
    data = sent.copy()
    data["others-TOTAL_FORMS"] = str(min(others.total_form_count() + MORE_ROWS, others.max_num))
    return MergeSources(data, prefix="others")


def requested(header: RepositoryHeader) -> HttpResponse:
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
