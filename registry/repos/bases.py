"""Base models by every name that adapters use, and as read-only repositories: who may see them, their version, files.

A name is an alias, a quantised copy or a license's; shapes are elsewhere.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from dovetail.adapters.formats import bases
from dovetail.adapters.formats import bases as well_known
from dovetail.adapters.formats.bases import License
from registry.kernel import audit, errors, refusals
from registry.kernel.callers import Caller, Permission
from registry.kernel.texts import names
from registry.models import Base, BaseAlias, BaseFile, BaseFollow, Namespace, Repository, Revision, User, Verdict
from registry.repos import lookup, refs
from registry.repos.manifest import Entry


def is_id(name: str) -> bool:
    """Return whether this looks like a model id, and not like an empty text or a path on the author's disk."""
    parts = name.split("/")
    try:
        return len(parts) <= 2 and all(names.check_name(part) for part in parts)
    except errors.NameInvalid:
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
    return bases.find(license)


def _spellings(name: str) -> list[str]:
    """Return the name, and that of the original if it is a quantised copy's; nothing for what is no id."""
    return [one for one in (name, well_known.full_precision(name)) if one] if is_id(name) else []


def _aliases_of(names: Iterable[str]) -> dict[str, str]:
    """Return name in lower case → base, for those of the names that were added here; one query."""
    folded = sorted({one.lower() for name in names for one in _spellings(name)})
    return {row.folded: row.base for row in BaseAlias.objects.filter(folded__in=folded)}


def _find(names: Iterable[str], aliases: Mapping[str, str]) -> dict[str, Base]:
    """Return name → base, for those that are here; one query, and one more for copies of none of them."""
    chains = {name: [id.lower() for one in _spellings(name) for id in _candidates(one, aliases)] for name in names}
    keys = sorted({key for chain in chains.values() for key in chain})
    here = {base.id.lower(): base for base in Base.objects.filter(id__lower__in=keys)}
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


def _only_ones_called(shorts: Mapping[str, str]) -> dict[str, Base]:
    """Return name → the only base here that is called by a short name, in any namespace, for those that have one."""
    if not shorts:
        return {}
    conditions = (Q(id__iendswith=f"/{short}") | Q(id__iexact=short) for short in set(shorts.values()))
    called = defaultdict(list)
    for base in Base.objects.filter(reduce(or_, conditions)):
        called[well_known.short(base.id).lower()].append(base)
    return {name: called[short.lower()][0] for name, short in shorts.items() if len(called[short.lower()]) == 1}


# --- asked for -------------------------------------------------------------------------------------------------------
def asking_for(base: str) -> list[str]:
    """Return the names of the people who ask for a base, the first first."""
    rows = BaseFollow.objects.filter(base=base, asked_at__isnull=False, follower__is_active=True)
    return list(rows.order_by("asked_at", "pk").values_list("follower__username", flat=True))


def asked_for() -> dict[str, list[str]]:
    """Return the bases that people ask for and that are not in the base cache → these people, the most asked first."""
    held = Base.objects.filter(has_weights=True).values("id")
    rows = BaseFollow.objects.filter(asked_at__isnull=False, follower__is_active=True).exclude(base__in=held)
    wanted: dict[str, list[str]] = {}
    for base, person in rows.order_by("asked_at", "pk").values_list("base", "follower__username"):
        wanted.setdefault(base, []).append(person)
    return dict(sorted(wanted.items(), key=lambda item: -len(item[1])))


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
            raise errors.ShelfProblem(f"{id!r} is not a model ID.", fix="Write it as namespace/name.")
    base = canonical_name(target)
    if base.casefold() == name.casefold():
        raise errors.ShelfProblem(f"{name} cannot be an alias of itself.", fix="Choose another base.")
    if Base.objects.filter(id__iexact=name).exists():
        raise errors.ShelfProblem(
            f"{name} is a base model itself.", fix=f"Remove it first: `{errors.SHELF} remove {name}`."
        )
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
            raise errors.BaseNotFound(f"{name} was not added as an alias.")
        audit.record(None, "base:unalias", name)


def set_license(name: str, license: str) -> Base:
    """Record the license of a base. Raises BaseNotFound."""
    base = find_base(name)
    if base is None:
        raise errors.BaseNotFound(f"Unknown base model {name}.")
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


def find(full_name: str) -> Base | None:
    """Return the base of that id, in any case, whose files can be served; None if a repository here has the name.

    A repository wins also where the caller may not see it: a name never leads some people to other bytes than others.
    """
    base = lookup.served_base(full_name).filter(has_weights=True).first()
    return None if base is None or lookup.named(full_name, "model").exists() else base


def require_free(full_name: str, type: str) -> None:
    """Raise NameReserved if a new repository of this name would take the place of a base for everybody."""
    if type == Repository.Type.MODEL and lookup.is_served_base(full_name):
        raise _reserved(full_name)


def require_none_taken(namespace: str, repositories: Iterable[Repository]) -> None:
    """Do as require_free does for all repositories of an organisation that gets this name; one query."""
    bases = Base.objects.filter(id__lower__startswith=f"{namespace.lower()}/", served_files__isnull=False)
    taken = {id.lower() for id in bases.values_list("id", flat=True).distinct()}
    for repository in repositories:
        full_name = f"{namespace}/{repository.name}"
        if repository.type == Repository.Type.MODEL and full_name.lower() in taken:
            raise _reserved(full_name)


def _reserved(full_name: str) -> errors.NameReserved:
    return errors.NameReserved(
        f"{full_name} is the name of a base model of this hub.",
        fix=f"Choose another name; an operator can remove the base model first (`{errors.SHELF} remove`).",
    )


def oid_of(base: Base) -> str:
    """Return the id of its version: the commit it was downloaded from, else the beginning of its digest."""
    return base.revision if refs.is_oid(base.revision) else base.sha256[:40]


def as_repository(base: Base) -> tuple[Repository, Revision]:
    """Return a base as a repository with one revision; neither is a row."""
    namespace, _, name = base.id.rpartition("/")
    license = f"license:{base.license}" if base.license else ""
    tags = [tag for tag in ("safetensors", str(base.config.get("model_type") or ""), license) if tag]
    times = {"created_at": base.added_at, "updated_at": base.added_at}
    gate = Repository.Gate.AUTO if base.serve == Base.Serve.GATED else ""
    repository = Repository(pk=0, namespace=Namespace(name=namespace), name=name, gated=gate, tags=tags, **times)
    author = User(username=namespace or name)
    title = f"Base model, sha256 {base.sha256}"
    revision = Revision(repository=repository, oid=oid_of(base), title=title, author=author, created_at=base.added_at)
    return repository, revision


def check_revision(base: Base, rev: str) -> None:
    """Raise RevisionNotFound unless a name means the one version that there is."""
    is_short = len(rev) >= refs.SHORTEST_OID and oid_of(base).startswith(rev.lower())
    if rev not in refs.MAIN_NAMES and not is_short:
        raise errors.RevisionNotFound(
            f"Invalid rev id: {rev[:200]!r}. The base model {base.id} is available in one version, {oid_of(base)}.",
            fix="Omit the revision, or use main.",
        )


def locate(base: Base, tail: str) -> str:
    """Return the path in rev/path. Raises RevisionNotFound."""
    rev, _, path = tail.partition("/")
    if tail == refs.MAIN or tail.startswith(f"{refs.MAIN}/"):
        rev, path = refs.MAIN, tail[len(refs.MAIN) + 1 :]
    check_revision(base, rev)
    return path


def entries(base: Base) -> dict[str, Entry]:
    """Return path → entry of every file, in one query."""
    return {row.path: _entry(row) for row in base.served_files.order_by("path")}


def find_file(base: Base, path: str) -> Entry:
    """Return one file. Raises FileNotFound."""
    row = base.served_files.filter(path=path).first() if path and "\0" not in path else None
    if row is None:
        raise errors.FileNotFound(f"Entry not found: {path[:200]!r} is not in {oid_of(base)}.")
    return _entry(row)


def _entry(row: BaseFile) -> Entry:
    return Entry(row.path, row.blob_id, row.size, row.is_lfs, row.git_oid)


def serve_of(base: Base) -> str:
    """Return who may download a base; by default everybody, if its license is one that is known to permit it."""
    if base.serve != Base.Serve.LICENSE:
        return base.serve
    license = base.license or well_known.license_of(base.id)
    return Base.Serve.PUBLIC if bases.find(license) else Base.Serve.MEMBERS


def require_base(caller: Caller, permission: Permission, base: Base, asked: str) -> Base:
    """Return the base if the caller has the permission. Nobody changes one by these routes: raises NotAllowed.

    Raises RepositoryNotFound for one that the caller may not see, GateSignInRequired and AccessRequired for its bytes.
    """
    serve, is_member = serve_of(base), _is_member(caller, base)
    if serve == Base.Serve.NOBODY or (serve == Base.Serve.MEMBERS and not is_member):
        raise refusals.repository_not_found(asked)
    if permission in (Permission.READ, Permission.BROWSE):
        return base
    if permission is not Permission.DOWNLOAD:
        raise refusals.base_read_only(base)
    if serve == Base.Serve.GATED and not is_member:
        raise refusals.gated_base(caller.user, base)
    return base


def _is_member(caller: Caller, base: Base) -> bool:
    """Return whether the caller has an account here; a token for some repositories must name the base."""
    return caller.user is not None and (not caller.is_fine_grained or bool(caller.named_grant(base.id)))
