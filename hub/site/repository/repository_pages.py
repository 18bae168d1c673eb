"""The pages of one repository: found by their address, and what is shown in place of what is held back or expired."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from hub.site.repository.repository_header import RepositoryHeader
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, person
from registry.kernel import refusals, seams
from registry.kernel.errors import RevisionNotFound
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Revision
from registry.proof.verified import withdrawals
from registry.repos import lookup, pull


def shown_header(repository: Repository, rev: str, by: Caller) -> RepositoryHeader:
    """Return the header at a revision; strangers see the newest verified one in place of a quarantined main."""
    header = RepositoryHeader(repository, pull.resolve(repository, rev), rev, by)
    try:
        pull.require_shown(header.revision, by)
    except RevisionNotFound:
        if rev != "main":
            raise
        if not header.verified:  # as a page it is all that the repository is known by
            raise refusals.repository_not_found(repository.full_name) from None
        return header.at("verified")
    return header


def reader_header(header: RepositoryHeader) -> RepositoryHeader:
    """Return the header at `verified` where another version is newer: for those who do not write there."""
    is_newer = header.rev == "main" and header.verified not in ("", header.revision.oid)
    return header.at_verified or header if is_newer and not header.may_write else header


def header_of(request: HttpRequest, address: RepositoryAddress, permission: Permission) -> RepositoryHeader:
    """Return the repository of an address at its main branch. Raises what lookup.find_at_address raises."""
    by = caller(request)
    repository = lookup.find_at_address(address.full_name, by, permission, type=address.type)
    return RepositoryHeader(repository, pull.resolve(repository, "main"), "main", by)


def header_at_revision(
    request: HttpRequest, address: RepositoryAddress, rev: str, permission: Permission
) -> RepositoryHeader:
    """Return a revision for a deed of a person who is signed in. Raises what `header_of` and `pull.resolve` raise."""
    person(request)
    main = header_of(request, address, permission)
    header = main.at(rev)
    pull.require_shown(header.revision, main.by)
    return header


SHOWN_OF_QUARANTINED = ("verdict", "commits")  # pages of a quarantined revision that writers still see
SHOWN_OF_EXPIRED = ("verdict", "commits", "commit")  # pages of a revision without its files


def _under_its_name(request: HttpRequest, repository: Repository) -> str:
    """Return the requested address with the canonical spelling of the repository's name."""
    match = request.resolver_match
    assert match is not None  # a view runs because a route matched
    path = reverse(match.view_name, kwargs={**match.kwargs, "address": repository})
    query = request.META.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def _held_page(request: HttpRequest, repository: Repository, revision: Revision | None) -> HttpResponse:
    """Return the page of what is held back: the reason, the evidence, and for its owners the appeal."""
    by, held = caller(request), revision or repository
    decision = withdrawals.decision_in_force(held)
    seams.saw(by.user, "held", repository)
    context = {
        "repository": repository,
        "revision": revision,
        "error": refusals.quarantined_revision(revision) if revision else refusals.quarantined(repository),
        "held_at": held.quarantined_at,
        "decision": decision,
    }
    is_gone = decision is not None and decision.action == "takedown"
    return render(request, "site/quarantined.html", context, status=410 if is_gone else 200)


def repository_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Wrap a view of one repository: find it, redirect other spellings of its name, explain a quarantine."""

    @require_safe
    @wraps(view)
    def wrapped(request: HttpRequest, address: RepositoryAddress, rev: str = "main", **route: Any) -> HttpResponse:
        by = caller(request)
        repository = lookup.find_at_address(address.full_name, by, type=address.type)
        if repository.is_quarantined:
            return _held_page(request, repository, None)
        if repository.full_name != address.full_name:
            return HttpResponseRedirect(_under_its_name(request, repository))
        header = shown_header(repository, rev, by)
        if header.revision.is_quarantined and view.__name__ not in SHOWN_OF_QUARANTINED:
            return _held_page(request, repository, header.revision)
        if header.revision.is_expired and view.__name__ not in SHOWN_OF_EXPIRED:
            raise refusals.files_expired(header.revision)
        return view(request, header, **route)

    return wrapped
