"""The forms by which aliases are set, rolled back and removed, on the page of the versions."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from hub.site.converters import RepositoryAddress
from hub.site.forms.repositories import SetAlias
from hub.site.repository.finding_headers import header_of
from hub.site.versions.commits import versions_page
from hub.site.visitor import caller, person
from registry.kernel.errors import AliasRefused
from registry.kernel.policy import Permission
from registry.proof.verified import aliases
from registry.repos import pull, refs


@require_POST
def set_alias(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    form = SetAlias(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            name = refs.check_alias_name(given["alias"])
            revision = pull.resolve(header.repository, given["revision"] or "verified")
            pull.require_shown(revision, header.by)
            reason, force = given["reason"], given["force"]
            aliases.set_alias(header.repository, name, revision, header.by, reason=reason, force=force)
            return redirect("commits", header.repository, "main")
    return versions_page(request, header, form)


@require_POST
def roll_back(request: HttpRequest, address: RepositoryAddress, rev: str, alias: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    try:
        aliases.roll_back(header.repository, alias, header.by)
    except AliasRefused as refusal:
        form = SetAlias({"alias": alias})
        form.full_clean()
        form.refuse(refusal)
        return versions_page(request, header, form)
    return redirect("commits", header.repository, "main")


@require_POST
def remove(request: HttpRequest, address: RepositoryAddress, rev: str, alias: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    aliases.remove_alias(header.repository, alias, caller(request))
    return redirect("commits", header.repository, "main")
