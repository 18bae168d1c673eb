"""Bases as read-only repositories: who may see and download one, which a name means, its one version and its files."""

from collections.abc import Iterable

from dovetail.adapters.formats import bases as well_known
from dovetail.adapters.formats import licenses
from registry.kernel import refusals
from registry.kernel.callers import Caller, Permission
from registry.kernel.errors import FileNotFound, NameReserved, RevisionNotFound
from registry.models import Base, BaseFile, Namespace, Repository, Revision, User
from registry.repos import lookup, refs
from registry.repos.manifest import Entry


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


def _reserved(full_name: str) -> NameReserved:
    return NameReserved(
        f"{full_name} is a base model of this hub, which its name leads to.",
        fix="Choose another name; an administrator can take the base off first (`manage.py shelf remove`).",
    )


def oid_of(base: Base) -> str:
    """Return the id of its version: the commit it was downloaded from, else the beginning of its digest."""
    is_commit = len(base.revision) == 40 and refs.HEX.issuperset(base.revision)
    return base.revision if is_commit else base.sha256[:40]


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
        raise RevisionNotFound(
            f"Invalid rev id: {rev[:200]!r}. The base model {base.id} is kept in one version, {oid_of(base)}.",
            fix="Leave the revision out, or use main.",
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
        raise FileNotFound(f"Entry not found: {path[:200]!r} is not in {oid_of(base)}.")
    return _entry(row)


def _entry(row: BaseFile) -> Entry:
    return Entry(row.path, row.blob_id, row.size, row.is_lfs, row.git_oid)


def serve_of(base: Base) -> str:
    """Return who may download a base; by default everybody, if its license is one that is known to permit it."""
    if base.serve != Base.Serve.LICENSE:
        return base.serve
    license = base.license or well_known.license_of(base.id)
    return Base.Serve.PUBLIC if licenses.find(license) else Base.Serve.MEMBERS


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
