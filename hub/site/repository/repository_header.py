"""The header of every page of one repository: the revision that it shows, its files, verdict and card."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.urls import reverse

from dovetail.adapters.results.report import BasePin, Evaluation
from dovetail.serve.server_start import Target
from hub.site.proof import Measured, Proof, compared_metric, proof
from hub.site.routing import RepositoryAddress
from registry.kernel import policy
from registry.kernel.errors import RegistryError, StoreUnavailable
from registry.kernel.policy import Caller, Permission
from registry.models import Regression, Repository, Revision, Verdict
from registry.people import gates
from registry.proof.reports import shown_to
from registry.proof.verdicts import requests
from registry.proof.verified import regressions
from registry.repos import digests, eligibility, histories, pull, refs, same_weights
from registry.repos.contents import facts
from registry.repos.contents.facts import Facts
from registry.repos.eligibility import Eligibility
from registry.repos.lists import listed_facts
from registry.repos.manifest import Entry
from registry.repos.refs import AliasState
from registry.repos.same_weights import Withdrawn
from registry.talk import social

README = "README.md"


@dataclass
class RepositoryHeader:
    """One repository at one revision, read lazily: each property costs a few queries at most."""

    repository: Repository
    revision: Revision
    rev: str  # as the address says it: main, verified, a tag or a commit
    by: Caller

    @property
    def url(self) -> str:
        return self.repository.get_absolute_url()

    @property
    def source_host(self) -> str:
        """The host of the other hub that it is read from."""
        return urlsplit(self.repository.source).netloc

    @property
    def source_url(self) -> str:
        """The address of its page there."""
        return f"{self.repository.source}/{self.repository.full_name}"

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
            return facts.read_facts(self.entries)
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
    def regression(self) -> Regression | None:
        """The comparison with the verified version before this one, where it was made."""
        is_first = self.proof is None or not self.proof.report.is_passed
        return None if is_first else regressions.regression_of(self.revision)

    @cached_property
    def measured(self) -> list[Measured]:
        """The metrics of the verdict, the deciding one beside the verified version before on the same rows."""
        before = self.regression.result if self.regression else {}
        return (
            [compared_metric(item, _previous(item, before)) for item in self.proof.report.evals] if self.proof else []
        )

    @property
    def headlines(self) -> list[Measured]:
        """The metrics that say most, for the first page."""
        return [item for item in self.measured if not item.is_neutral][:2]

    @cached_property
    def eligibility(self) -> Eligibility:
        """Whether `verified` may name it."""
        return eligibility.of_decided(self.verdict, self.revision)

    @property
    def is_passed_by(self) -> bool:
        """True if it passed and `verified` does not name it for what was measured, or since nothing was."""
        because = self.eligibility.because
        return because == eligibility.NOT_RUN or because in eligibility.OVERRIDABLE

    @cached_property
    def withdrawn(self) -> Withdrawn | None:
        """The yanked version, here or elsewhere, with the same weights as this one."""
        return same_weights.find_withdrawn(self.revision, self.entries, self.by)

    @cached_property
    def may_override(self) -> bool:
        """True where the visitor may let a version become `verified` that measured worse or adds nothing."""
        return self.may(Permission.CONFIGURE)

    @property
    def incompleteness(self) -> str:
        return requests.incompleteness(self.revision)

    @cached_property
    def names(self) -> dict[str, str]:
        """Ref name as people use it → commit; what each alias serves at the end."""
        rows = sorted(pull.shown_refs(self.repository, self.by), key=lambda ref: ref.name.startswith(refs.ALIASES))
        return {refs.short_name(ref.name).removeprefix("refs/"): ref.revision.oid for ref in rows}

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
        return histories.length(self.revision)

    @cached_property
    def may_write(self) -> bool:
        return policy.may_write(self.by, self.repository)

    @cached_property
    def gate(self) -> str:
        """The gate between this visitor and the files: "" for none, else closed, pending or rejected."""
        if policy.passes_gate(self.by, self.repository):
            return ""
        request = gates.own_request(self.repository, self.by)
        # An accepted person stays outside only with a fine-grained token, which no browser has.
        return "closed" if request is None else request.status

    @cached_property
    def gate_reason(self) -> str:
        request = gates.own_request(self.repository, self.by)
        return request.reason if request else ""

    @cached_property
    def is_liked(self) -> bool:
        return social.likes(self.by, self.repository)

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

    @cached_property
    def may_yank(self) -> bool:
        """True where the version holds an adapter and the visitor may yank it."""
        is_adapter = self.repository.type == Repository.Type.MODEL and bool(self.described["format"])
        return is_adapter and self.may_write and not self.repository.is_archived

    @property
    def is_empty(self) -> bool:
        """True where the only file is the one that the hub itself put there."""
        return not set(self.entries) - {".gitattributes"}

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries.values())

    @property
    def parameters(self) -> int:
        return sum(self.facts.parameters.values())

    @property
    def dtypes(self) -> str:
        return ", ".join(self.facts.parameters)

    @property
    def targets(self) -> str:
        """The modules it changes, as its configuration names them; "" for a pattern or a long list."""
        modules = self.facts.description.target_modules if self.facts.description else ()
        return ", ".join(modules) if len(modules) <= 3 else ""

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
        """Return this version as serving engines are told of it, by the hub's address of a request."""
        report = self.proof.report if self.proof else None
        base = (report.base if report else None) or BasePin(str(self.described["base"] or ""))
        place = report.path if report else ""
        names = (self.repository.full_name, endpoint, self.revision.oid)
        return Target(*names, place, base.id, base.revision or "")

    @property
    def pin(self) -> str:
        """The revision that snippets name: `verified` where this is it, else the commit."""
        return "verified" if self.verified == self.revision.oid else self.revision.oid


def _previous(item: Evaluation, before: Mapping[str, Any]) -> float | None:
    """Return the number of the version before, if the comparison with it is about this measurement."""
    is_same = before.get("metric") == item.metric and before.get("now") == item.adapter
    return before.get("before") if is_same else None


def card_links(repository: Repository, revision: str) -> tuple[str, str]:
    """Return the base addresses of relative addresses in a card: of pictures (its files), of links (its pages)."""
    page = reverse("blob", args=[repository, revision, README])
    return repository.file_url(revision, ""), page.removesuffix(README)
