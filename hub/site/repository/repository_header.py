"""The header of every page of one repository: the revision that it shows, its files, verdict and card.

The repository is found by its address; a page of its own stands in place of what is held back or expired.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dovetail.adapters.results.report import BasePin
from dovetail.serve.server_start import Target
from hub.site.proof import Proof, proof
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, person
from registry.kernel import policy, refusals, seams
from registry.kernel.errors import RegistryError, RevisionNotFound, StoreUnavailable
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Revision, Verdict
from registry.people import gates
from registry.proof.reports import shown_to
from registry.proof.verdicts import requests
from registry.proof.verified import withdrawals
from registry.repos import digests, eligibility, histories, lookup, pull, refs
from registry.repos.contents import facts, stored_facts
from registry.repos.contents.facts import Facts
from registry.repos.digests import Withdrawn
from registry.repos.eligibility import Eligibility
from registry.repos.lists import listed_facts
from registry.repos.manifest import Entry
from registry.repos.refs import AliasState


class Gate(NamedTuple):
    """The gate between a visitor and the files: its state, "" for none, and the reason of a rejection."""

    state: str = ""
    reason: str = ""


@dataclass
class RepositoryHeader:
    """One repository at one revision, read lazily: each property costs a few queries at most."""

    repository: Repository
    revision: Revision
    rev: str  # as the address says it: main, verified, a tag or a commit
    by: Caller

    @property
    def noun(self) -> str:
        """The word for it in sentences: adapter, dataset or space."""
        return "adapter" if self.repository.type == "model" else self.repository.type

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The files; none of a version that has expired, whose pages of files refuse."""
        return {} if self.revision.is_expired else pull.entries(self.revision)

    @cached_property
    def facts(self) -> Facts:
        """The facts in the files; none while the store does not answer: the rest of the page are rows."""
        try:
            return stored_facts.revision_facts(self.revision, self.entries)
        except StoreUnavailable:
            return facts.read_facts({})

    @cached_property
    def verdict(self) -> Verdict | None:
        """The verdict in force."""
        return requests.in_force(self.revision)

    @cached_property
    def proof(self) -> Proof | None:
        verdict = self.verdict
        return proof(verdict, shown_to(verdict.report, self.by, self.repository)) if verdict else None

    @cached_property
    def renewal(self) -> Verdict | None:
        """The validation that is queued or running while the verdict that the page shows is in force."""
        return requests.renewal_of(self.verdict) if self.verdict else None

    @cached_property
    def eligibility(self) -> Eligibility:
        """Return whether `verified` may name it."""
        return eligibility.of_decided(self.verdict, self.revision)

    @cached_property
    def withdrawn(self) -> Withdrawn | None:
        """The yanked version, here or elsewhere, with the same weights as this one."""
        return digests.find_withdrawn(self.revision, self.entries, self.by)

    @property
    def incompleteness(self) -> str:
        return requests.incompleteness(self.revision)

    @cached_property
    def names(self) -> dict[str, str]:
        """Ref name as people use it → commit; what each alias serves at the end."""
        rows = sorted(pull.shown_refs(self.repository, self.by), key=lambda ref: ref.name.startswith(refs.ALIASES))
        return {refs.short_name(ref.name).removeprefix("refs/"): ref.revision.oid for ref in rows}

    @cached_property
    def is_branch(self) -> bool:
        """Return whether the address names a branch, which takes commits."""
        return self.repository.refs.filter(name=refs.BRANCHES + self.rev).exists()

    @cached_property
    def alias(self) -> AliasState | None:
        """The alias by which the address names this version."""
        is_other = self.rev in ("main", "verified") or len(self.rev) == 40
        return None if is_other or self.rev not in self.names else refs.named(self.repository, self.rev)

    @property
    def verified(self) -> str:
        return self.names.get("verified", "")

    @cached_property
    def versions(self) -> int:
        """The number of versions that were pushed; the commit that the hub begins a repository with is none."""
        pushed = histories.length(self.revision)
        return pushed if pushed or self.is_empty else 1

    @cached_property
    def may_write(self) -> bool:
        return policy.may_write(self.by, self.repository)

    @cached_property
    def gate(self) -> Gate:
        if policy.passes_gate(self.by, self.repository):
            return Gate()
        request = gates.own_request(self.repository, self.by)
        # An accepted person stays outside only with a fine-grained token, which no browser has.
        return Gate(request.status, request.reason) if request else Gate("closed")

    @cached_property
    def unserved(self) -> str:
        """Why the pull policy keeps the files of this version from the visitor, "" where it does not."""
        refusal = None if self.revision.is_quarantined or self.is_empty else pull.unserved(self.revision, self.by)
        return refusal.detail if refusal else ""

    @cached_property
    def may_configure(self) -> bool:
        return self.may(Permission.ARCHIVE)

    def may(self, permission: Permission) -> bool:
        try:
            policy.require(self.by, permission, self.repository)
        except RegistryError:
            return False
        return True

    @property
    def successor_url(self) -> str:
        """The page of what the owner names in its place; it may be private or gone by now."""
        return reverse("repository", args=[RepositoryAddress(self.repository.type, self.repository.successor)])

    @property
    def is_empty(self) -> bool:
        """True where the only file is the one that the hub itself put there."""
        return not set(self.entries) - {".gitattributes"}

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries.values())

    @property
    def weights(self) -> Entry | None:
        return next(iter(digests.weight_files(self.entries)), None)

    @cached_property
    def described(self) -> listed_facts.Described:
        """Kind, rank, base, task and format of this revision; the repository's columns are about what lists show."""
        return listed_facts.described(self.facts)

    def at(self, rev: str) -> "RepositoryHeader":
        """Return the same repository at another revision. Raises what `pull.resolve` raises."""
        return RepositoryHeader(self.repository, pull.resolve(self.repository, rev), rev, self.by)

    @cached_property
    def at_verified(self) -> "RepositoryHeader | None":
        """The verified version; None if there is none, or if its files are held back or have expired."""
        header = self.at("verified") if self.verified else None
        return None if header is None or header.revision.is_quarantined or header.revision.is_expired else header

    @property
    def used(self) -> "RepositoryHeader":
        """The version that snippets pull: this one, or the verified one where this one did not pass."""
        is_proven = self.proof is not None and self.proof.report.is_passed
        return self if is_proven else self.at_verified or self

    def target(self, endpoint: str) -> Target:
        """Return the version as serving engines are told of it, by an address of the hub."""
        report = self.proof.report if self.proof else None
        base = (report.base if report else None) or BasePin(str(self.described["base"] or ""))
        place = report.path if report else ""
        return Target.at_hub(self.repository.full_name, endpoint, self.revision.oid, place, base)

    @property
    def pin(self) -> str:
        """The revision that snippets name: `verified` where this is it, else the commit."""
        return "verified" if self.verified == self.revision.oid else self.revision.oid


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
