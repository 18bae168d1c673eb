"""The names that may be asked of other hubs, and those read from there, which only administrators may take here."""

from fnmatch import fnmatchcase

from django.conf import settings

from features.upstream.models import UpstreamRepository
from registry.kernel import audit
from registry.kernel.errors import NameInvalid, NameProhibited, NameReserved
from registry.kernel.texts import names
from registry.models import FormerName, FormerNamespace, NameRule, Namespace, Repository, User
from registry.people import name_rules

LISTED = 100  # names in an event of the audit log


def may_be_asked(full_name: str) -> bool:
    """Return whether a name may be asked of other hubs.

    All repositories of a namespace that exists here are here or nowhere, so other hubs learn no private name, and
    nobody can put a repository there in the place of one. So it is with names that were given up, and reserved ones.
    """
    return _is_well_formed(full_name) and _is_permitted(full_name) and not is_ours(full_name)


def may_be_asked_alone(name: str) -> bool:
    """Return whether a name without a namespace may be asked of other hubs."""
    try:
        names.check_namespace(name)
    except NameInvalid:
        return False
    return _is_permitted(name) and not is_ours(f"{name}/{name}")


def is_ours(full_name: str) -> bool:
    """Return whether a name belongs to this hub: its namespace exists or existed here, or is kept for somebody."""
    namespace, _, name = full_name.lower().partition("/")
    if Namespace.objects.filter(name__lower=namespace, source="").exists() or namespace in names.RESERVED:
        return True
    if FormerNamespace.objects.filter(name=namespace).exists():
        return True
    if FormerName.objects.filter(full_name=f"{namespace}/{name}").exists():
        return True
    try:
        name_rules.require_allowed(namespace, NameRule.Scope.NAMESPACE)
        name_rules.require_allowed(name, NameRule.Scope.REPOSITORY)
    except (NameProhibited, NameReserved):
        return True
    return False


def _is_well_formed(full_name: str) -> bool:
    try:
        for part in names.split_id(full_name):
            names.check_name(part)
    except NameInvalid:
        return False
    return True


def _is_permitted(full_name: str) -> bool:
    rules, folded = settings.UPSTREAM, full_name.lower()
    is_allowed = not rules.allow or any(fnmatchcase(folded, pattern) for pattern in rules.allow)
    return is_allowed and not any(fnmatchcase(folded, pattern) for pattern in rules.deny)


def take_over(name: str, by: User | None) -> None:
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
            f"Repositories of {name!r} are mirrored from {first.origin}, so the name is reserved.",
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
