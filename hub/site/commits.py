"""The versions of an adapter, newest first, each with its verdict; and what one of them changed."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from hub.site.head import Head, adapter_page
from hub.site.proof import document
from registry import pull
from registry.manifest import Entry
from registry.models import Verdict

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
    parent = head.revision.parent
    before = pull.entries(parent) if parent else {}
    shown = {"head": head, "tab": "versions", "parent": parent, "changes": changes(before, head.entries)}
    return render(request, "site/commit.html", shown)


def changes(before: dict[str, Entry], after: dict[str, Entry]) -> list[tuple[str, str, int, int]]:
    """(what happened, path, size before, size after) for every file that differs, by path."""
    found = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None and new is not None:
            found.append(("added", path, 0, new.size))
        elif new is None and old is not None:
            found.append(("removed", path, old.size, 0))
        elif old is not None and new is not None and old.sha256 != new.sha256:
            found.append(("changed", path, old.size, new.size))
    return found
