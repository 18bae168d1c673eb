"""Trusted publishers in the domain: whom a repository trusts by its name, and in an operator's file."""

from collections.abc import Iterator

from features.publishers import verbs
from registry.kernel.seams import Feature
from registry.models import Organization
from registry.people.provision_file import Entry, at


def _apply(organization: Organization, entry: Entry) -> Iterator[str]:
    """Trust a CI job; yield a line unless it is trusted already."""
    repository, issuer = entry.needed("repository"), entry.needed("issuer")
    with at(entry.where):
        type, claims = entry.text("type") or "model", entry.lists("claims")
        entry.end()
        if verbs.declare(organization.namespace, repository, type, issuer, claims):
            yield f"publisher of {organization}/{repository}: trusted"


FEATURE = Feature(
    named=verbs.adopt,
    given_up=verbs.remove_all,
    organization_parts=(("publishers", _apply),),
    acts=(("TrustedPublisher", "end", "End trust", verbs.disable),),
)
