"""The forms that create and delete branches and tags, on the page of the versions."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from hub.site.converters import RepositoryAddress
from hub.site.forms.files import NewRef
from hub.site.forms.repositories import SetAlias
from hub.site.repository.finding_headers import header_of
from hub.site.versions.commits import versions_page
from hub.site.visitor import person
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Permission
from registry.publish import branches
from registry.repos import pull, refs

PREFIXES = {"branch": refs.BRANCHES, "tag": refs.TAGS}


@require_POST
def create(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
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
def delete(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    person(request)
    header = header_of(request, address, Permission.PUSH)
    ref = request.POST.get("ref", "")
    if not ref.startswith(tuple(PREFIXES.values())):
        raise ValueInvalid(f"{ref[:200]!r} is neither a branch nor a tag.", fix="Choose one on the page of versions.")
    branches.delete_ref(header.repository, ref, header.by)
    sentence = gettext("{name} is deleted. Its versions keep their ids.")
    messages.success(request, sentence.format(name=refs.short_name(ref)))
    return redirect("commits", header.repository, "main")
