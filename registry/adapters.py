"""What may be done with adapters as a whole: find, create, delete, change visibility."""

from django.db import IntegrityError, transaction

from registry import audit, names, people, policy
from registry.errors import AdapterExists, NotAllowed, NamespaceNotFound, SignInRequired
from registry.models import Adapter, Organization, RetiredName
from registry.policy import Caller, Permission

MAIN = "refs/heads/main"


def find(full_name: str, by: Caller, permission: Permission = Permission.READ, type: str = "model") -> Adapter:
    """Return the adapter of that id, whatever the case, if the caller has the permission.

    Raises AdapterNotFound for what is not there or may not be seen, and what policy.require raises.
    """
    namespace, _, name = full_name.partition("/")
    adapter = (
        Adapter.objects.select_related("namespace", "created_by")
        .filter(type=type, namespace__name__lower=namespace.lower(), name__lower=name.lower())
        .first()
    )
    if adapter is None:
        raise policy.missing(full_name)
    return policy.require(by, permission, adapter)


def create(full_name: str, by: Caller, *, private: bool | None = None, type: str = "model") -> Adapter:
    """Make an empty adapter; `private=None` takes the namespace's default.

    Raises SignInRequired, NotAllowed, NameInvalid, and AdapterExists with the existing one's `full_name`.
    """
    if by.user is None:
        raise SignInRequired("Creating an adapter needs a signed-in person.")
    namespace_name, name = names.split_id(full_name)
    names.check_name(name)
    try:
        namespace = people.namespace(namespace_name)
    except NamespaceNotFound:
        raise NotAllowed(f"You may not create adapters in {namespace_name!r}.") from None
    policy.require_namespace(by, namespace)
    if private is None:
        private = Organization.objects.filter(namespace=namespace, private_by_default=True).exists()
    try:
        with transaction.atomic():
            adapter = Adapter.objects.create(
                type=type, namespace=namespace, name=name, private=private, created_by=by.user
            )
            RetiredName.objects.filter(type=type, full_name=adapter.full_name.lower()).delete()
            audit.record(by.user, "adapter:create", adapter.full_name)
            return adapter
    except IntegrityError:
        existing = find(full_name, by, type=type)
        raise AdapterExists(f"{existing.full_name} already exists.", full_name=existing.full_name) from None


def delete(adapter: Adapter, by: Caller) -> None:
    """Delete the adapter's rows and retire its name; bytes nobody refers to are swept later."""
    policy.require(by, Permission.CONFIGURE, adapter)
    with transaction.atomic():
        RetiredName.objects.get_or_create(type=adapter.type, full_name=adapter.full_name.lower())
        audit.record(by.user, "adapter:delete", adapter.full_name)
        adapter.delete()


def set_private(adapter: Adapter, private: bool, by: Caller) -> None:
    """Change who may see the adapter."""
    policy.require(by, Permission.CONFIGURE, adapter)
    with transaction.atomic():
        audit.record(by.user, "adapter:visibility", adapter.full_name, before=adapter.private, after=private)
        Adapter.objects.filter(pk=adapter.pk).update(private=private)
    adapter.private = private
