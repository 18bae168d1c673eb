"""Names of namespaces at other hubs of which people here read repositories: nobody takes them but administrators."""

from registry.kernel import audit
from registry.kernel.errors import NameReserved
from registry.models import Namespace, Repository, UpstreamRepository, User

LISTED = 100  # names in an event of the audit log


def require_free(name: str, by: User | None) -> None:
    """Raise NameReserved for a namespace of which repositories are read from another hub; administrators may take it.

    An owner of the name here could put other bytes in the place of those that people load by these names already. The
    records of it make room for what that owner will put here; `by=None` is the operator. Call it in a transaction.
    """
    rows = UpstreamRepository.objects.filter(namespace=name.lower()).order_by("folded")
    first = rows.first()
    if first is None:
        return
    if by is not None and by.role != User.Role.ADMIN:
        raise NameReserved(
            f"Repositories of {name!r} are read here from {first.origin}, so that nobody can take the name.",
            fix="Choose another name, or ask an administrator of this hub.",
        )
    records = Repository.with_binned.filter(namespace__name__lower=name.lower()).exclude(source="")
    held = records.filter(quarantined_at__isnull=False) | records.filter(revisions__quarantined_at__isnull=False)
    state = {
        "read_from": sorted(set(rows.values_list("origin", flat=True))),
        "repositories": rows.count(),
        "names": [f"{row.type}/{row.full_name}" for row in rows[:LISTED]],
        "records": list(records.order_by("name").values_list("name", flat=True)[:LISTED]),
        "held": list(held.order_by("name").values_list("name", flat=True).distinct()[:LISTED]),
    }
    audit.record(by, "name:take", name, before=state, after={"read_from": []})
    records.delete()
    Namespace.objects.filter(name__lower=name.lower()).exclude(source="").delete()
    rows.delete()


def is_read_elsewhere(name: str) -> bool:
    """Return whether people here read repositories of a namespace with this name from another hub."""
    return UpstreamRepository.objects.filter(namespace=name.lower()).exists()
