"""The page of a file that is held back or in a case, for moderators; each look is logged."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub.site.administration.staff import for_moderators
from hub.site.files.files import readable_text, tensors_of
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller
from registry.moderation.cases import evidence


@for_moderators
@require_safe
def look(request: HttpRequest, address: RepositoryAddress, rev: str, path: str) -> HttpResponse:
    """Show the text or the tensors of one file; nothing in it is ever run or rendered."""
    revision, entry = evidence.look(address.full_name, rev, path, caller(request), type=address.type)
    tensors = tensors_of(entry)
    context = {
        "repository": revision.repository,
        "revision": revision,
        "entry": entry,
        "tensors": tensors,
        "text": readable_text(entry) if tensors is None else None,
        "tab": "queue",
    }
    return render(request, "site/moderation/evidence.html", context)
