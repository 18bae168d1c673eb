"""The sources of a derived version, the versions derived of it, and the form that asks for more, on its page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from hub.site.commits import commit_page
from hub.site.converters import RepositoryAddress
from hub.site.forms.repositories import Derive, Yank
from hub.site.repository_header import RepositoryHeader, header_of
from hub.site.visitor import caller, person
from registry.kernel.policy import Permission
from registry.publish import derived_versions
from registry.repos import lookup, pull


@require_POST
def derive(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    person(request)
    main = header_of(request, address, Permission.BROWSE)
    header = RepositoryHeader(main.repository, pull.resolve(main.repository, rev), rev, main.by)
    pull.require_shown(header.revision, main.by)
    form = Derive(request.POST)
    if form.is_valid():
        by, given = caller(request), form.cleaned_data
        with form:
            into = lookup.find(given["into"], by, Permission.BROWSE) if given["into"] else None
            derived_versions.request_conversion(header.revision, given["to"], by, into)
            return redirect("commit", header.repository, header.revision.oid)
    return commit_page(request, header, Yank(), form)
