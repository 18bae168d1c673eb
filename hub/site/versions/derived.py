"""The forms that ask for another form of a version, and for a merge of it with others."""

from collections.abc import Iterable
from dataclasses import replace

from django.forms import BaseFormSet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from hub.site.converters import RepositoryAddress
from hub.site.forms import posted
from hub.site.forms.derived import MORE_ROWS, Merge, MergeSource, MergeSources
from hub.site.forms.repositories import Yank
from hub.site.repository import other_forms
from hub.site.repository.finding_headers import header_at_revision
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.versions.commits import commit_page
from hub.site.visitor import caller
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import Repository
from registry.publish.made import derived_versions
from registry.publish.made.derived_versions import Origin
from registry.repos import lookup
from registry.repos.viewers import Viewer


@require_POST
def derive(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    header = header_at_revision(request, address, rev, Permission.BROWSE)
    form = other_forms.derive_form(header, request.POST)
    if form.is_valid():
        by, given = caller(request), form.cleaned_data
        with form:
            into = lookup.find(given["into"], by, Permission.BROWSE) if given["into"] else None
            asked = {key: given[key] for key in ("alpha", "enable_lora", "rank") if given.get(key)}
            derived_versions.request_conversion(header.revision, given["to"], by, into, asked)
            return _shown(header)
    return commit_page(request, header, Yank(), form)


@require_http_methods(["GET", "POST"])
def merge(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
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
                head = derived_versions.chosen_head(form.cleaned_data["head"], [first, *origins])
                recipe = replace(form.recipe, head=head)
                derived_versions.request_merge([first, *origins], recipe, header.by, into)
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
    return render(request, "site/merge_versions.html", shown, status=status)


def _origins(others: Iterable[MergeSource], by: Caller) -> list[Origin]:
    """Return the versions that the rows name; a row whose version cannot be merged gets the refusal."""
    origins = []
    for row in others:
        given = row.cleaned_data
        if name := given.get("adapter"):
            with row:
                rev = given["revision"] or "main"
                origins.append(derived_versions.find_origin(name, rev, _weight(row), Viewer(by)))
    return origins


def _weight(form: Merge | MergeSource) -> float:
    weight = form.cleaned_data["weight"]
    return 1.0 if weight is None else float(weight)


def _target(name: str, by: Caller) -> Repository:
    if not name:
        raise ValueInvalid(
            "A merge is the next version of an adapter.", fix="Name one that you may write to.", field="into"
        )
    return lookup.find(name, by, Permission.BROWSE)
