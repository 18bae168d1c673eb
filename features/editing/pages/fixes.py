"""The button "Fix it" beside a finding, and the page that shows its change and commits it."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from dovetail.adapters.results.report import CheckResult
from features.editing import examinations, remedies, staged_files, verbs, weights
from features.editing.pages import uploads
from features.editing.pages.commits import after_commit, branch_header, commit, ref_of, words_for
from features.editing.remedies import LOUD, Case, Fix
from hub.site.panels import Panel
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.routing import RepositoryAddress, at, forms
from registry.kernel.errors import RegistryError
from registry.kernel.policy import Permission
from registry.models import Discussion
from registry.publish import push
from registry.repos import pull, refs
from registry.repos.manifest import Entry


def _loud(header: RepositoryHeader) -> list[CheckResult]:
    """Return the findings that may have a remedy: of the verdict, or of the static checks while it is queued."""
    checks = header.proof.report.checks if header.proof else ()
    if _is_queued(header):
        checks = examinations.examine(header.entries, {}).checks
    return [check for check in checks if check.outcome in LOUD and check.id in remedies.REMEDIES]


def _is_queued(header: RepositoryHeader) -> bool:
    return header.proof is not None and header.proof.document.state == "queued"


def _branch(header: RepositoryHeader) -> str:
    """Return the branch or pull request to which the visitor may commit or propose a fix of this version, else ""."""
    is_known = header.by.user is not None and header.may(Permission.DISCUSS)
    if not is_known or header.repository.source or not pull.may_have_files(header.revision, header.by):
        return ""
    names = header.repository.refs.filter(revision=header.revision).values_list("name", flat=True)
    found = [name for name in names if name.startswith((refs.BRANCHES, refs.PULL_REQUESTS))]
    for name in sorted(found, key=lambda name: name != refs.MAIN):
        is_proposed = not header.may_write and name.startswith(refs.BRANCHES)
        try:
            push.require_for(header.repository, name, header.by, propose=is_proposed)
        except RegistryError:
            continue
        return refs.short_name(name)
    return ""


def _offer(header: RepositoryHeader, loud: Iterable[CheckResult]) -> Mapping[str, object] | None:
    """Return the remedies of these checks, and the address that shows them; None where nothing is offered."""
    found = {check.id: remedy for check in loud if (remedy := remedies.find(Case(header.entries, check)))}
    if not found or not (branch := _branch(header)):
        return None
    address = f"{reverse('fix', args=[header.repository, branch])}?{urlencode({'check': list(found)}, doseq=True)}"
    is_commit = header.may_write or branch.startswith(refs.PULL_REQUESTS)
    return {"deeds": [remedy.deed for remedy in found.values()], "fix_url": address, "proposes": not is_commit}


def _of_check(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    check, header = page["check"], page["header"]
    may_see = header.may_write or not check.id.startswith("privacy.")
    if check.id not in remedies.REMEDIES or not may_see or header.revision.is_expired:
        return None
    return _offer(header, [check])


def _of_notes(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what is offered for notes of a verdict to who may write."""
    header = page["header"]
    if not header.may_write or _is_queued(header):
        return None
    loud = [check for check in _loud(header) if check.outcome == "warned"]
    return _offer(header, loud) if loud else None


def _of_queue(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return where the static checks of a version that waits for its verdict are shown to who may write."""
    header = page["header"]
    if not header.may_write or not _is_queued(header) or not (branch := _branch(header)):
        return None
    return {"early_url": reverse("fix", args=[header.repository, branch])}


def _of_proposal(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    discussion: Discussion = page["discussion"]
    verdict = page.get("verdict")
    if discussion.status not in weights.OPEN or not verdict or not page["tip"]:
        return None
    header = page["header"].at(discussion.ref)
    return None if _is_queued(header) else _offer(header, _loud(header))


def _of_staged(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the remedy of files that wait for their commit."""
    remedy = remedies.find(Case(page["entries"], page["check"]))
    waiting = {file.path for file in page["staged"]}
    if remedy is None or not waiting.issuperset(remedy.removed):
        return None
    header = page.get("header")
    stages = reverse("fix-staged", args=[header.repository, header.rev]) if header else reverse("fix-draft")
    return {"stages": stages, "deeds": [remedy.deed]}


def fix_staged(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    """Fix files that wait for their commit, and show them again with what was changed; nothing is committed."""
    header = branch_header(request, address, rev)
    staged = uploads.staged_of(request, header, [])
    planned = staged_files.entries(header.repository, ref_of(header), staged, header.by)
    entries = uploads.readable(header, staged, planned)
    typed = uploads.typed_card(request, header, staged, entries)
    fixed = uploads.fixed_files(header.repository, entries, staged, typed, request.POST.get("fix", ""))
    return uploads.review(request, header, *fixed)


@require_http_methods(["GET", "POST"])
def fix(request: HttpRequest, address: RepositoryAddress, rev: str) -> HttpResponse:
    """Show what mends the findings that are named (all, if none is), and commit it."""
    header = branch_header(request, address, rev)
    if request.headers.get("HX-Request"):
        if not (header.may_write and _is_queued(header)):
            return HttpResponse(status=204)  # its turn has come since the page was made
        early = {"header": header, "examined": examinations.examine(header.entries, {}), "is_early": True}
        return render(request, "editing/examined.html", early)
    asked = request.GET.getlist("check")
    loud = [check for check in _loud(header) if header.may_write or not check.id.startswith("privacy.")]
    chosen = [check for check in loud if not asked or check.id in asked]
    found = remedies.compose(header.entries, chosen)
    if found is None or found.texts or found.weights or not header.may_write:
        pull.require_files(header.revision, header.by)  # a writer takes out even what is quarantined, unseen
    if found is None or not found.changes:
        messages.info(request, gettext("There is nothing here that can be fixed without you."))
        return redirect("verdict", header.repository, header.revision.oid)
    words = words_for(request, header, found.title)
    pending = verbs.pending_fix(header.repository, found) if rev == "main" else None
    if words.is_valid() and words.proposes and pending:
        return redirect(pending)
    if words.is_valid():
        with words:
            words.cleaned_data["message"] = words.cleaned_data["message"] or found.words
            operations = verbs.operations(header.repository, found)
            return after_commit(request, header, commit(header, words, operations, header.revision.oid))
    shown: dict[str, object] = {
        "header": header if header.is_branch else header.at(header.revision.oid),
        "rev": rev,
        "tab": "evaluation",
        "subpage": "fix",
        "words": words,
        "fix": found,
        "pending": pending,
    }
    shown |= {"patches": list(uploads.patches(header.entries, found)), "examined": examined(header.entries, found)}
    shown |= {"is_private": any(check.id.startswith("privacy.") for check in chosen), "history": verbs.HISTORY}
    others = [check.id for check in loud if check not in chosen and remedies.find(Case(header.entries, check))]
    shown |= {
        "others": others,
        "form_url": request.get_full_path(),
        "all_url": reverse("fix", args=[header.repository, rev]),
    }
    return render(request, "editing/fix.html", shown, status=words.status)


def examined(entries: Mapping[str, Entry], found: Fix) -> examinations.Examination | None:
    """Return what the checks say of the files after the change; None where weights are rewritten."""
    if found.weights:
        return None
    left = {path: entry for path, entry in entries.items() if path not in found.removed}
    return examinations.examine(left, found.texts)


ROUTES = (
    at("<repository:address>/fix/<path:rev>", fix, "fix"),
    *forms("add-files", "<repository:address>/upload/<str:rev>", ("fix", fix_staged, "fix-staged")),
)
PANELS = (
    Panel("check", "editing/button.html", _of_check),
    Panel("staged", "editing/button.html", _of_staged),
    Panel("repository", "editing/notes.html", _of_notes),
    Panel("repository", "editing/early.html", _of_queue),
    Panel("verdict", "editing/early.html", _of_queue),
    Panel("proposal", "editing/button.html", _of_proposal),
)
