"""Base models by every name that adapters use: aliases, quantised copies, licenses; files and shapes are elsewhere."""

from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from dovetail.adapters import bases as known
from dovetail.adapters import licenses
from dovetail.adapters.licenses import License
from registry.kernel import audit, names
from registry.kernel.errors import BaseNotFound, NameInvalid, ShelfProblem
from registry.models import Base, BaseAlias, Repository, Verdict


def is_id(name: str) -> bool:
    """Whether this looks like a model id, and not like nothing or a path on its author's disk."""
    parts = name.split("/")
    try:
        return len(parts) <= 2 and all(names.check_name(part) for part in parts)
    except NameInvalid:
        return False


# --- finding ---------------------------------------------------------------------------------------------------------
def find_base(name: str) -> Base | None:
    """Return the base that is meant by a name, whatever the case; None when it is not here.

    A quantised copy means the base in full precision: by the name that it was made of, else by the only base here
    that has this name in another namespace.
    """
    if not is_id(name):
        return None
    meant = _candidates(name)
    full = known.full_precision(name)
    found = _first_of(meant) or (_first_of(_candidates(full)) if full else None)
    return found or (_only_one_called(known.short(full)) if full else None)


def canonical_name(name: str) -> str:
    """Return how the base that is meant by a name is called here; the name as it is where nobody knows it."""
    if base := find_base(name):
        return base.id
    for one in (name, known.full_precision(name)) if is_id(name) else ():
        if row := BaseAlias.objects.filter(folded=one.lower()).first():
            return row.base
        if known.is_known(one):
            return known.canonical(one)
    return name


def names_of(base: Base) -> tuple[str, ...]:
    """Return the other names of a base, well known or added here; quantised copies may be among them."""
    added = BaseAlias.objects.filter(base__iexact=base.id).order_by("folded").values_list("name", flat=True)
    others = {name.casefold(): name for name in (*known.names_of(base.id), *added)}
    others.pop(base.id.casefold(), None)
    return tuple(others.values())


def license_of(base: Base | None, name: str = "") -> str:
    """Return the license of a base as it was put on the shelf, else as everybody knows it, else ""."""
    return (base.license if base else "") or known.license_of(base.id if base else name)


def license_duties(license: str) -> License | None:
    """Return what a license asks of adapters; None for one that is not in the table."""
    return licenses.find(license)


def _candidates(name: str) -> list[str]:
    """The ids that a name may stand for, the likeliest first: itself, what it is an alias of, well-known names."""
    row = BaseAlias.objects.filter(folded=name.lower()).first()
    chain = [name, *([row.base, *known.names_of(row.base)] if row else ()), *known.names_of(name)]
    return list({one.casefold(): one for one in chain}.values())


def _first_of(ids: Iterable[str]) -> Base | None:
    wanted = [id.lower() for id in ids]
    found = {base.id.lower(): base for base in Base.objects.filter(id__lower__in=wanted)}
    return next((found[id] for id in wanted if id in found), None)


def _only_one_called(short: str) -> Base | None:
    rows = list(Base.objects.filter(Q(id__iendswith=f"/{short}") | Q(id__iexact=short))[:2])
    return rows[0] if len(rows) == 1 else None


# --- other names -----------------------------------------------------------------------------------------------------
def list_aliases() -> QuerySet[BaseAlias]:
    """Return the names that were added here."""
    return BaseAlias.objects.order_by("folded")


def add_alias(name: str, target: str) -> BaseAlias:
    """Let a name mean a base from now on, also in what was pushed already. Raises ShelfProblem.

    The base need not be here yet. The name may be one of a quantised copy.
    """
    for said in (name, target):
        if not is_id(said):
            raise ShelfProblem(f"{said!r} is no model id.", fix="Write it as adapters do: namespace/name.")
    meant = canonical_name(target)
    if meant.casefold() == name.casefold():
        raise ShelfProblem(f"{name} would be another name of itself.", fix="Name the other base.")
    if Base.objects.filter(id__iexact=name).exists():
        raise ShelfProblem(f"{name} is a base here itself.", fix=f"Take it off first: `manage.py shelf remove {name}`.")
    with transaction.atomic():
        try:
            with transaction.atomic():
                made = BaseAlias.objects.create(name=name, folded=name.lower(), base=meant)
        except IntegrityError:
            made = BaseAlias.objects.get(folded=name.lower())
            made.name, made.base = name, meant
            made.save(update_fields=["name", "base"])
        audit.record(None, "base:alias", name, after=meant)
        rename_to_canonical()
    return made


def remove_alias(name: str) -> None:
    """Let a name mean nothing but itself again; what was pushed meanwhile stays with its base. Raises BaseNotFound."""
    with transaction.atomic():
        if not BaseAlias.objects.filter(folded=name.lower()).delete()[0]:
            raise BaseNotFound(f"{name} is no name that was added here.")
        audit.record(None, "base:unalias", name)


def set_license(name: str, license: str) -> Base:
    """Write down under which license a base is. Raises BaseNotFound."""
    base = find_base(name)
    if base is None:
        raise BaseNotFound(f"{name} is not known here.")
    with transaction.atomic():
        audit.record(None, "base:license", base.id, before=base.license, after=license[:64])
        Base.objects.filter(pk=base.pk).update(license=license[:64])
    base.license = license[:64]
    return base


def rename_to_canonical() -> int:
    """Call bases in lists and in waiting verdicts as they are called now; returns how many names changed.

    For when a base came or a name was added. Call it in a transaction.
    """
    changed = 0
    for rows in (
        Repository.objects.exclude(base=""),
        Verdict.objects.filter(state=Verdict.State.QUEUED).exclude(base=""),
    ):
        for name in set(rows.order_by().values_list("base", flat=True)):
            if (now := canonical_name(name)) != name:
                changed += rows.filter(base=name).update(base=now)
    return changed
