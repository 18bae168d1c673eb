"""The repairs that the hub offers on the page of a verdict, to people who may write there."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dovetail.adapters.convert.mend import Mended
from dovetail.adapters.results.report import CheckResult
from registry.models import Discussion, Repository, Revision, User
from registry.proof.config_views import View
from registry.publish.made import privacy_repairs, repairs, weight_repairs
from registry.repos import pull

OF_CONFIG = frozenset({"base.local-path", "base.unnamed", "base.quantised"})
OF_WEIGHTS = frozenset({"file.missing", "file.ambiguous", "tensors.unused", "tensors.targets", "fit.missing"})


@dataclass
class RepairOffers:
    """The repairs of a verdict's `checks` (empty if nothing may be offered), each worked out when it is read."""

    repository: Repository
    revision: Revision
    visitor: User | None
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
        return weight_repairs.find(pull.entries(self.revision)) if self._loud & OF_WEIGHTS else None

    @cached_property
    def config(self) -> View | None:
        """The repaired config, where a check that it repairs failed or warned."""
        return repairs.offer(self.revision) if self._loud & OF_CONFIG else None

    @cached_property
    def request(self) -> Discussion | None:
        """The visitor's open pull request with the repaired weights, or else the one with the repaired config."""
        if self.weights:
            return weight_repairs.pending(self.repository, self.visitor)
        return repairs.pending(self.repository, self.config) if self.config else None

    @cached_property
    def private_places(self) -> int:
        """The number of private things that the verdict tells; 0 without a repair."""
        loud = [check for check in self.checks if check.id.startswith("privacy.") and check.outcome == "warned"]
        return sum(len(check.where.get("findings", ())) + int(check.where.get("more", 0)) for check in loud)

    @cached_property
    def privacy_request(self) -> Discussion | None:
        """The visitor's open pull request that removes private data."""
        return privacy_repairs.pending(self.repository, self.visitor) if self.private_places else None
