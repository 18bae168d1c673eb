"""The rules for base models: who may see one that the hub keeps, and who may download it."""

from dovetail.adapters.formats import bases as well_known
from dovetail.adapters.formats import licenses
from registry.kernel import refusals
from registry.kernel.callers import Caller, Permission
from registry.models import Base


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
