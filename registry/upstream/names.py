"""The names that may be asked of other hubs: none that is used here, in any way, by anybody."""

from fnmatch import fnmatchcase

from django.conf import settings

from registry.kernel.errors import NameInvalid, NameProhibited, NameReserved
from registry.kernel.texts import names
from registry.models import FormerName, FormerNamespace, NameRule, Namespace
from registry.people import name_rules


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
