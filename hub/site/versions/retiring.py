"""The forms by which owners yank versions, and deprecate and archive repositories."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from hub.site.converters import RepositoryAddress
from hub.site.forms.repositories import Deprecation, Yank
from hub.site.repository import repository_settings
from hub.site.repository.finding_headers import header_at_revision, header_of
from hub.site.versions.commits import commit_page
from hub.site.visitor import caller
from registry.kernel.policy import Permission
from registry.proof.verified import withdrawals
from registry.publish.retention import retiring


@require_POST
def yank(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    header = header_at_revision(request, address, rev, Permission.PUSH)
    form = Yank(request.POST)
    if form.is_valid():
        with form:
            withdrawals.yank(header.revision, caller(request), form.cleaned_data["reason"])
            return redirect("commit", header.repository, header.revision.oid)
    return commit_page(request, header, form)


@require_POST
def unyank(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    header = header_at_revision(request, address, rev, Permission.PUSH)
    withdrawals.unyank(header.revision, caller(request))
    return redirect("commit", header.repository, header.revision.oid)


@require_POST
def deprecate(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    form = Deprecation(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            retiring.deprecate(header.repository, caller(request), given["message"], given["successor"].strip())
            return redirect("repository-settings", header.repository)
    return repository_settings.settings_page(request, header, deprecation=form)


@require_POST
def undeprecate(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    retiring.undeprecate(header.repository, caller(request))
    return redirect("repository-settings", header.repository)


@require_POST
def archive(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.ARCHIVE)
    retiring.archive(header.repository, caller(request))
    return redirect("repository-settings", header.repository)


@require_POST
def unarchive(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.ARCHIVE)
    retiring.unarchive(header.repository, caller(request))
    return redirect("repository-settings", header.repository)
