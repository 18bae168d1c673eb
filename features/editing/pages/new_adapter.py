"""The page that publishes an adapter: its files are dropped, recognised and fixed, and get a card and a name.

Nothing but the draft exists until then. Without scripts the first form brings the files, and the second one the rest.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import ClassVar

from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from dovetail.adapters.formats.description import Description
from features.editing import examinations, staged_files
from features.editing.pages import uploads
from features.editing.staged_files import Staged
from hub import limits
from hub.errors import http_form
from hub.site.forms import Named, Option, Owned, Refusals, name_field, visibility_field
from hub.site.headers import with_store
from hub.site.repository.diff_view import Patch
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, owners_of_new_repository, person
from registry.kernel import capacity
from registry.kernel.errors import (
    NameInvalid,
    NameProhibited,
    NameReserved,
    NameTaken,
    RegistryError,
    RepositoryExists,
    ValueInvalid,
)
from registry.kernel.texts.names import Likeness
from registry.people import name_rules
from registry.proof.verdicts import requests
from registry.publish import repositories
from registry.repos import lookup

LONGEST_SUGGESTION = 80  # characters


class NewRepository(Named, Owned):
    name = name_field(_("Name"), _("What it does and its kind, such as `reviews-lora`"), placeholder="reviews-lora")
    visibility = visibility_field(
        _("Who may see it"),
        Option(_("Everybody"), _("Listed and pulled by anyone.")),
        Option(_("Only you and members"), _("Everyone else sees “not found”.")),
    )
    fields_of: ClassVar[Refusals] = {
        NameInvalid: "name",
        NameTaken: "name",
        RepositoryExists: "name",
        ValueInvalid: "name",
        NameReserved: "name",
        NameProhibited: "name",
    }

    @property
    def full_name(self) -> str:
        return f"{self.cleaned_data['owner']}/{self.data.get('name', '').strip()}"

    @property
    def existing(self) -> RepositoryAddress | None:
        """The repository that has this name already, after it was refused for that."""
        is_taken = isinstance(self.refusal, RepositoryExists)
        return RepositoryAddress("model", self.full_name) if is_taken else None

    def like(self, name: str) -> Likeness | None:
        return name_rules.like_repository(name)

    @property
    def taken(self) -> RepositoryAddress | None:
        """The repository that has this name, of an owner that the person may choose: of others nothing is told."""
        is_own = self.cleaned_data["owner"] in self.owners
        found = is_own and lookup.named(self.full_name, "model").exists()
        return RepositoryAddress("model", self.full_name) if found else None


@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Take the files of a draft, show what they are, and publish them under a name with their card."""
    person(request)
    if "discard" in request.POST:
        staged_files.keep_draft(request.session, [])
        return redirect("upload")
    if request.headers.get("HX-Target") == "name-told":
        return _name_told(request)
    if request.method != "POST":
        return page(request, staged_files.draft_of(request.session))
    with capacity.place():
        try:
            has_more = _received(request)
            draft = staged_files.draft_of(request.session)
            if not draft:
                raise ValueInvalid("No files were chosen.", fix="Choose files, a folder, or a zip.")
        except RegistryError as refusal:
            return page(request, staged_files.draft_of(request.session), refusal=refusal)
        if has_more and "name" not in request.POST:
            return redirect(request.get_full_path())  # a page that is loaded again sends no file again
        return page(request, draft, publishes="publish" in request.POST and not has_more)


def upload_file(request: HttpRequest) -> HttpResponse:
    """Take one file of a draft, at the path that a script names."""
    person(request)
    try:
        with capacity.place():
            _received(request)
    except RegistryError as refusal:
        body = {"detail": refusal.detail, "fix": refusal.fix}
        return JsonResponse(body, status=http_form(refusal).status)
    return HttpResponse(status=204)


def fix_draft(request: HttpRequest) -> HttpResponse:
    """Fix the files of a draft, and show them again with what was changed."""
    person(request)
    draft = staged_files.draft_of(request.session)
    entries = staged_files.draft_entries(draft)
    typed = uploads.card_of(uploads.fields_of(request.POST, draft, examinations.describe(entries)))
    fixed, patches = uploads.fixed_files(None, entries, draft, typed, request.POST.get("fix", ""))
    staged_files.keep_draft(request.session, fixed)
    return page(request, fixed, patches=patches)


def _received(request: HttpRequest) -> bool:
    """Put the files that came into the draft, without those to leave out; return whether any came."""
    sources, session = uploads.sources_of(request), request.session
    if path := request.POST.get("path"):
        sources = [replace(source, path=path) for source in sources]
    if left_out := set(request.POST.getlist("leave")):
        staged_files.keep_draft(session, [file for file in staged_files.draft_of(session) if file.path not in left_out])
    if sources:
        by = caller(request)
        staged_files.add_to_draft(session, sources, by, partial(limits.take_bytes, by))
    return bool(sources)


def page(
    request: HttpRequest,
    draft: Sequence[Staged],
    *,
    publishes: bool = False,
    patches: Sequence[Patch] = (),
    refusal: RegistryError | None = None,
) -> HttpResponse:
    """Show the draft, or publish it.

    `patches` are what was fixed in it just now, with its card; `refusal` says why files are not in it.
    """
    by, entries = caller(request), staged_files.draft_entries(draft)
    described = examinations.describe(entries) if draft else None
    owners = owners_of_new_repository(by)
    chosen = request.GET.get("owner", "")
    initial = {"owner": chosen, "name": _suggested_name(described, chosen if chosen in owners else owners[0])}
    form = NewRepository(request.POST if "name" in request.POST else None, owners=owners, initial=initial)
    fields = uploads.fields_of(QueryDict() if patches else request.POST, draft, described)
    changed = uploads.card_of(fields)
    if request.headers.get("HX-Request"):
        return render(request, "site/parts/preview.html", {"html": uploads.preview_of(changed)})
    if publishes and form.is_valid() and fields.is_valid():
        with form:
            is_private = form.cleaned_data["visibility"] == "private"
            ref = staged_files.publish_draft(form.full_name, draft, changed, by, private=is_private)
            staged_files.keep_draft(request.session, [])
            page_name = "verdict" if requests.latest(ref.revision) else "tree"
            return redirect(page_name, ref.repository, "main")
    shown = uploads.shown(draft, entries, changed) | {
        "form": form,
        "fields": fields,
        "patches": patches,
        "refusal": refusal,
        "html": uploads.preview_of(changed) if "preview" in request.POST else "",
    }
    status = http_form(refusal).status if refusal else form.status
    return with_store(render(request, "editing/upload.html", shown, status=status))


def _suggested_name(described: Description | None, owner: str) -> str:
    """Return a free name that says the base and the task, or the kind; "" for files that say neither."""
    if described is None:
        return ""
    words = [(described.base or "").rpartition("/")[2], described.task or described.kind or ""]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(filter(None, words)))[:LONGEST_SUGGESTION].strip("-._")
    numbered = (f"{name}-{number}" if number > 1 else name for number in count(1))
    return next(one for one in numbered if not lookup.named(f"{owner}/{one}", "model").exists()) if name else ""


def _name_told(request: HttpRequest) -> HttpResponse:
    """Answer a script whether the name is free."""
    form = NewRepository(request.POST, owners=owners_of_new_repository(caller(request)))
    form.full_clean()
    return render(request, "editing/name_told.html", {"taken": form.taken})


@require_http_methods(["GET", "POST"])
def new_repository(request: HttpRequest) -> HttpResponse:
    """Create an empty repository, from the form below that of the upload."""
    person(request)
    if request.method != "POST":
        return redirect(f"{reverse('upload')}?{request.GET.urlencode()}".rstrip("?"))
    form = NewRepository(request.POST, owners=owners_of_new_repository(caller(request)))
    if form.is_valid():
        with form:
            is_private = form.cleaned_data["visibility"] == "private"
            return redirect(repositories.create(form.full_name, caller(request), private=is_private))
    return with_store(render(request, "editing/upload.html", {"form": form, "is_for_empty": True}, status=form.status))
