"""The repairs that pages of an adapter offer to people who may write there, and the button that opens one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from dovetail.adapters.convert.mend import Mended
from dovetail.adapters.results.report import CheckResult
from features.repairs import privacy, verbs, weights
from hub.site.panels import Pages, Panel
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.routing import RepositoryAddress, forms
from hub.site.visitor import caller, person
from registry.kernel.policy import Permission
from registry.models import Discussion
from registry.proof.config_views import View
from registry.repos import lookup, pull

OF_CONFIG = frozenset({"base.local-path", "base.unnamed", "base.quantised"})
OF_WEIGHTS = frozenset({"file.missing", "file.ambiguous", "tensors.unused", "tensors.targets", "fit.missing"})


@dataclass
class RepairOffers:
    """The repairs of a verdict's `checks` (empty if nothing may be offered), each worked out when it is read."""

    head: RepositoryHeader
    checks: Sequence[CheckResult]

    @property
    def is_likely(self) -> bool:
        """True where a check speaks of what repairs are for; it asks neither files nor the database."""
        return bool(self._loud & (OF_CONFIG | OF_WEIGHTS) or self.private_places)

    @property
    def _loud(self) -> set[str]:
        return {check.id for check in self.checks if check.outcome in ("failed", "warned")}

    @cached_property
    def weights(self) -> Mended | None:
        """The repaired weights, where a check that they would pass failed or warned."""
        return weights.find(pull.entries(self.head.revision)) if self._loud & OF_WEIGHTS else None

    @cached_property
    def config(self) -> View | None:
        """The repaired config, where a check that it repairs failed or warned."""
        return verbs.offer(self.head.revision) if self._loud & OF_CONFIG else None

    @cached_property
    def request(self) -> Discussion | None:
        """The visitor's open pull request with the repaired weights, or else the one with the repaired config."""
        if self.weights:
            return weights.pending(self.head.repository, self.head.by.user)
        return verbs.pending(self.head.repository, self.config) if self.config else None

    @cached_property
    def private_places(self) -> int:
        """The number of private things that the verdict tells; 0 without a repair."""
        loud = [check for check in self.checks if check.id.startswith("privacy.") and check.outcome == "warned"]
        return sum(len(check.where.get("findings", ())) + int(check.where.get("more", 0)) for check in loud)

    @cached_property
    def privacy_request(self) -> Discussion | None:
        """The visitor's open pull request that removes private data."""
        return weights.pending(self.head.repository, self.head.by.user, privacy.TITLE) if self.private_places else None


def _offered(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return what is offered for the head of main to who may write there; None where nothing is."""
    header = page["header"]
    is_main = header.names.get("main") == header.revision.oid
    checks = header.proof.report.checks if header.proof and is_main and header.may_write else ()
    offers = RepairOffers(header, checks)
    return {"repairs": offers} if offers.is_likely else None


def repair(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Open a pull request with the repair, or find the one that is open, and show it."""
    by = caller(request)
    repository = lookup.find_at_address(address.full_name, by, Permission.BROWSE, type=address.type)
    person(request)
    base, only_privacy = request.POST.get("base", "")[:200], "privacy" in request.POST
    return redirect(verbs.propose(repository, by, base, only_privacy=only_privacy).discussion)


PAGES = Pages(
    routes=forms("repository", "<repository:address>", ("repair", repair, "repair")),
    panels=(
        Panel("repository-menu", "repairs/menu.html", _offered),
        Panel("repository", "repairs/offers.html", _offered),
        Panel("verdict", "repairs/offers.html", _offered),
    ),
)
