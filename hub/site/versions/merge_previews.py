"""The page that previews a merge of an adapter with another one: overlaps, norms of the sum, conflicts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.errors import http_form
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import repository_page
from registry.kernel.errors import RegistryError, StoreUnavailable
from registry.kernel.policy import Caller, Permission
from registry.models import Revision
from registry.proof.weights import merge_previews
from registry.proof.weights.merge_previews import Preview
from registry.repos import lookup, pull
from registry.repos.refs import MAIN
from registry.repos.viewers import Viewer


@repository_page
def merge_preview(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """Show the form, and with `other=NS/NAME@REV` the preview or why there is none."""
    pull.require_files(header.revision, header.by)
    asked = request.GET.get("other", "")[:400].strip()
    page: dict[str, object] = {"header": header, "tab": "verdict", "asked": asked}
    status = 200
    if asked:
        try:
            other = _other(asked, header.by)
            page |= {"other": other} | _shown(merge_previews.preview(header.revision, other))
        except StoreUnavailable:
            raise
        except RegistryError as refusal:
            page["problem"], page["way_out"], status = refusal.detail, refusal.fix, _status(refusal)
    return render(request, "site/merge_preview.html", page, status=status)


def _status(refusal: RegistryError) -> int:
    """Return 409 for what the person may know of and not have; 404 stays for what might as well not be there."""
    status = http_form(refusal).status
    return status if status in (400, 404) else 409


def _other(asked: str, by: Caller) -> Revision:
    """Return the revision that a person named. Raises what looking it up raises."""
    name, _, rev = asked.partition("@")
    repository = lookup.find_at_address(name, by, Permission.DOWNLOAD)
    revision = pull.resolve_pulled(repository, rev or MAIN, Viewer(by))
    pull.require_shown(revision, by)
    pull.require_served(revision, by)
    return revision


def _shown(preview: Preview) -> dict[str, object]:
    rows = list(zip(preview.pairs.modules, preview.merges, strict=False))
    sides = {"columns": preview.mean("columns"), "rows": preview.mean("rows")}
    return {"preview": preview, "modules": rows, "problem": preview.problem, **sides}
