"""The forms by which aliases are set, rolled back and removed, and branches and tags made and deleted."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from hub.site.repository.repository_pages import header_of
from hub.site.routing import RepositoryAddress
from hub.site.versions.commits import NewRef, SetAlias, versions_page
from hub.site.visitor import caller, person
from registry.kernel.errors import AliasRefused, ValueInvalid
from registry.kernel.policy import Permission
from registry.proof.verified import aliases
from registry.publish import branches
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
def remove_alias(request: HttpRequest, address: RepositoryAddress, rev: str, alias: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    aliases.remove_alias(header.repository, alias, caller(request))
    return redirect("commits", header.repository, "main")


PREFIXES = {"branch": refs.BRANCHES, "tag": refs.TAGS}


@require_POST
def create_ref(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    form = NewRef(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            revision = pull.resolve(header.repository, given["revision"] or "main")
            pull.require_shown(revision, header.by)
            prefix = PREFIXES[given["kind"] or "tag"]
            branches.create_ref(header.repository, prefix + given["name"], revision, header.by)
            return redirect("commits", header.repository, "main")
    return versions_page(request, header, SetAlias(), form)


@require_POST
def delete_ref(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    ref = request.POST.get("ref", "")
    if not ref.startswith(tuple(PREFIXES.values())):
        raise ValueInvalid(f"{ref[:200]!r} is neither a branch nor a tag.", fix="Choose one on the page of versions.")
    branches.delete_ref(header.repository, ref, header.by)
    sentence = gettext("{name} is deleted. Its versions keep their ids.")
    messages.success(request, sentence.format(name=refs.short_name(ref)))
    return redirect("commits", header.repository, "main")
