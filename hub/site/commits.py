"""The versions of an adapter, newest first, each with its verdict; and what one of them changed."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.site import patch
from hub.site.head import Head, adapter_page
from hub.site.proof import document
from registry.kernel import policy
from registry.kernel.errors import RegistryError, RevisionNotFound
from registry.kernel.policy import Permission
from registry.models import Verdict
from registry.repos import pull

PER_PAGE = 30


@adapter_page
def commits(request: HttpRequest, head: Head) -> HttpResponse:
    history = pull.history(head.revision, PER_PAGE + 1)
    older = history[PER_PAGE].oid if len(history) > PER_PAGE else ""
    newest = Verdict.objects.filter(revision__in=history[:PER_PAGE]).order_by("number")  # the highest number counts
    verdicts = {verdict.revision_id: document(verdict) for verdict in newest}
    rows = [
        (revision, verdicts.get(revision.pk), [name for name, oid in head.names.items() if oid == revision.oid])
        for revision in history[:PER_PAGE]
    ]
    return render(request, "site/commits.html", {"head": head, "tab": "versions", "rows": rows, "older": older})


@adapter_page
def commit(request: HttpRequest, head: Head) -> HttpResponse:
    """What a version changed: by name for everybody who sees it, line by line for who may have the files."""
    parent = head.revision.parent
    shown: dict[str, object] = {"head": head, "tab": "versions", "parent": parent}
    try:
        if parent is not None:
            parent.repository = head.repository
            pull.require_shown(parent, head.by)
        before = pull.entries(parent) if parent else {}
        shown["changes"] = patch.changes(before, head.entries)
        policy.require(head.by, Permission.DOWNLOAD, head.repository)
        for revision in filter(None, (head.revision, parent)):  # what was taken away is shown too
            pull.require_served(revision, head.by)
        shown["patches"] = patch.of(before, head.entries)
    except RevisionNotFound:  # what was before is held back, and names of its files are its own
        shown["parent"] = None
    except RegistryError as refusal:
        shown["refusal"] = refusal
    return render(request, "site/commit.html", shown)
