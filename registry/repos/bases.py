"""Base models by every name that adapters use: aliases, quantised copies, licenses; files and shapes are elsewhere."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from dovetail.adapters.formats import bases as well_known
from dovetail.adapters.formats import licenses
from dovetail.adapters.formats.licenses import License
from registry.kernel import audit
from registry.kernel.errors import BaseNotFound, NameInvalid, ShelfProblem
from registry.kernel.texts import names
from registry.models import Base, BaseAlias, Repository, Verdict
from registry.sql.prepared import Prepared


def is_id(name: str) -> bool:
    """Return whether this looks like a model id, and not like an empty text or a path on the author's disk."""
    parts = name.split("/")
    try:
        return len(parts) <= 2 and all(names.check_name(part) for part in parts)
    except NameInvalid:
        return False


# --- finding ---------------------------------------------------------------------------------------------------------
def find_base(name: str) -> Base | None:
    """Return the base that a name means, ignoring case; None if it is not here.

    A quantised copy means the base in full precision: by the name of its original, else by the only base here that has
    this name in another namespace.
    """
    return _find([name], _aliases_of([name])).get(name)


def canonical_name(name: str) -> str:
    """Return the id under which this hub knows the base of that name; an unknown name is returned as it is."""
    return canonical_names([name])[name]


def canonical_names(names: Iterable[str]) -> dict[str, str]:
    """Return name → the id under which this hub knows the base, as above; at most three queries for all names."""
    names = set(names)
    aliases = _aliases_of(names)
    found = _find(names, aliases)
    return {name: found[name].id if name in found else _id_elsewhere(name, aliases) for name in names}


def names_of(base: Base) -> tuple[str, ...]:
    """Return the other names of a base, well known or added here; quantised copies may be among them."""
    added = BaseAlias.objects.filter(base__iexact=base.id).order_by("folded").values_list("name", flat=True)
    others = {name.casefold(): name for name in (*well_known.names_of(base.id), *added)}
    others.pop(base.id.casefold(), None)
    return tuple(others.values())


def license_of(base: Base | None, name: str = "") -> str:
    """Return the license recorded with a base, else the well-known one, else ""."""
    return (base.license if base else "") or well_known.license_of(base.id if base else name)


def license_duties(license: str) -> License | None:
    """Return the obligations of a license for adapters; None for one that is not in the table."""
    return licenses.find(license)


def _spellings(name: str) -> list[str]:
    """Return the name, and that of the original if it is a quantised copy's; nothing for what is no id."""
    return [one for one in (name, well_known.full_precision(name)) if one] if is_id(name) else []


def _aliases_of(names: Iterable[str]) -> dict[str, str]:
    """Return name in lower case → base, for those of the names that were added here; one query."""
    folded = sorted({one.lower() for name in names for one in _spellings(name)})
    return {row.folded: row.base for row in _ALIASES(*folded)} if folded else {}


def _find(names: Iterable[str], aliases: Mapping[str, str]) -> dict[str, Base]:
    """Return name → base, for those that are here; one query, and one more for copies of none of them."""
    chains = {name: [id.lower() for one in _spellings(name) for id in _candidates(one, aliases)] for name in names}
    keys = sorted({key for chain in chains.values() for key in chain})
    here = {base.id.lower(): base for base in _BASES(*keys)} if keys else {}
    found = {name: next((here[key] for key in chain if key in here), None) for name, chain in chains.items()}
    copies = {name: well_known.full_precision(name) for name in chains if chains[name] and found[name] is None}
    shorts = {name: well_known.short(full) for name, full in copies.items() if full}
    return {name: base for name, base in found.items() if base} | _only_ones_called(shorts)


def _candidates(name: str, aliases: Mapping[str, str]) -> list[str]:
    """Return the ids that a name may mean, the likeliest first: itself, the base of an alias, well-known names."""
    base = aliases.get(name.lower())
    return [name, *([base, *well_known.names_of(base)] if base else ()), *well_known.names_of(name)]


def _id_elsewhere(name: str, aliases: Mapping[str, str]) -> str:
    """Return the id of a base that is not here."""
    for one in _spellings(name):
        if base := aliases.get(one.lower()):
            return base
        if well_known.is_known(one):
            return well_known.canonical(one)
    return name


_ALIASES = Prepared(lambda *folded: BaseAlias.objects.filter(folded__in=folded), str)
_BASES = Prepared(lambda *keys: Base.objects.filter(id__lower__in=keys), str)


def _only_ones_called(shorts: Mapping[str, str]) -> dict[str, Base]:
    """Return name → the only base here that is called by a short name, in any namespace, for those that have one."""
    if not shorts:
        return {}
    conditions = (Q(id__iendswith=f"/{short}") | Q(id__iexact=short) for short in set(shorts.values()))
    called = defaultdict(list)
    for base in Base.objects.filter(reduce(or_, conditions)):
        called[well_known.short(base.id).lower()].append(base)
    return {name: called[short.lower()][0] for name, short in shorts.items() if len(called[short.lower()]) == 1}


# --- other names -----------------------------------------------------------------------------------------------------
def list_aliases() -> QuerySet[BaseAlias]:
    """Return the names that were added here."""
    return BaseAlias.objects.order_by("folded")


def add_alias(name: str, target: str) -> BaseAlias:
    """Make a name an alias of a base, also for repositories that were pushed before. Raises ShelfProblem.

    The base need not be here yet. The name may be that of a quantised copy.
    """
    for id in (name, target):
        if not is_id(id):
            raise ShelfProblem(f"{id!r} is no model id.", fix="Write it as adapters do: namespace/name.")
    base = canonical_name(target)
    if base.casefold() == name.casefold():
        raise ShelfProblem(f"{name} would be another name of itself.", fix="Name the other base.")
    if Base.objects.filter(id__iexact=name).exists():
        raise ShelfProblem(f"{name} is a base here itself.", fix=f"Take it off first: `manage.py shelf remove {name}`.")
    with transaction.atomic():
        try:
            with transaction.atomic():
                alias = BaseAlias.objects.create(name=name, folded=name.lower(), base=base)
        except IntegrityError:
            alias = BaseAlias.objects.get(folded=name.lower())
            alias.name, alias.base = name, base
            alias.save(update_fields=["name", "base"])
        audit.record(None, "base:alias", name, after=base)
        rename_to_canonical()
    return alias


def remove_alias(name: str) -> None:
    """Remove an alias; repositories pushed meanwhile keep their base. Raises BaseNotFound."""
    with transaction.atomic():
        if not BaseAlias.objects.filter(folded=name.lower()).delete()[0]:
            raise BaseNotFound(f"{name} is no name that was added here.")
        audit.record(None, "base:unalias", name)


def set_license(name: str, license: str) -> Base:
    """Record the license of a base. Raises BaseNotFound."""
    base = find_base(name)
    if base is None:
        raise BaseNotFound(f"{name} is not known here.")
    with transaction.atomic():
        audit.record(None, "base:license", base.id, before=base.license, after=license[:64])
        Base.objects.filter(pk=base.pk).update(license=license[:64])
    base.license = license[:64]
    return base


def rename_to_canonical() -> int:
    """Rename bases in lists and in waiting verdicts to their canonical names; returns the number of changed rows.

    Call it in a transaction after a base or an alias was added.
    """
    changed = 0
    for rows in (
        Repository.objects.exclude(base=""),
        Verdict.objects.filter(state=Verdict.State.QUEUED).exclude(base=""),
    ):
        for name in set(rows.order_by().values_list("base", flat=True)):
            if (canonical := canonical_name(name)) != name:
                changed += rows.filter(base=name).update(base=canonical)
    return changed
