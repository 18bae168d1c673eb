"""Finds the header of a repository: at a revision that a visitor may see, or at an address where they do something."""

from django.http import HttpRequest

from hub.site.converters import RepositoryAddress
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.visitor import caller, person
from registry.kernel import refusals
from registry.kernel.errors import RevisionNotFound
from registry.kernel.policy import Caller, Permission
from registry.models import Repository
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
