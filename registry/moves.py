"""How an adapter gets another name or another owner, and who is sent on from the name it had before."""

from registry import adapters, audit, events, ids, names, people, policy, quotas, webhooks
from registry.errors import AdapterMoved, AdapterNotFound, NamespaceNotFound, NotAllowed
from registry.models import Adapter, Namespace, Rename
from registry.policy import Caller, Permission
from registry.words import search_text


def find(full_name: str, by: Caller, permission: Permission = Permission.READ, type: str = "model") -> Adapter:
    """Return the adapter of that id as adapters.find does; raises AdapterMoved to who may see it under its new name.

    For addresses. What names an adapter in a body asks adapters.find: nobody follows a redirect with another body.
    """
    try:
        return adapters.find(full_name, by, permission, type=type)
    except AdapterNotFound as missing:
        adapter = _moved(full_name, type)
        if adapter is None or not policy.may_see(by, adapter):
            raise missing from None
    raise AdapterMoved(f"{full_name} is now {adapter.full_name}.", full_name=adapter.full_name, asked=full_name)


def move(adapter: Adapter, full_name: str, by: Caller) -> Adapter:
    """Give the adapter another name, or another owner; its old name leads to it until somebody makes a new one there.

    The caller must administer the adapter, and be one who may create in the namespace it goes to. Raises NameInvalid,
    NotAllowed, AdapterExists, and what policy.require raises.
    """
    namespace_name, name = names.split_id(full_name)
    names.check_name(name)
    with adapters.alone_of_its_name(full_name, adapter.type):
        current = policy.require_now(by, Permission.CONFIGURE, adapter)
        return _move(current, _target(namespace_name, by), name, by)


def _target(namespace_name: str, by: Caller) -> Namespace:
    try:
        namespace = people.namespace(namespace_name)
    except NamespaceNotFound:
        raise NotAllowed(f"You may not create adapters in {namespace_name!r}.") from None
    policy.require_namespace(by, namespace)
    return namespace


def _move(current: Adapter, target: Namespace, name: str, by: Caller) -> Adapter:
    before, owner = current.full_name, current.namespace_id
    if before == f"{target.name}/{name}":
        return current
    webhooks.announce(
        current, "move", "repo", movedTo={"name": f"{target.name}/{name}", "owner": {"id": ids.shown(target.pk)}}
    )
    current.namespace, current.name = target, name
    words = [current.full_name, current.summary, current.base, current.kind, current.task]
    current.search_text = search_text(*words, tags=current.tags)
    current.save(update_fields=["namespace", "name", "search_text"])
    if owner != target.pk:
        quotas.require_place(target)
        quotas.require_room(current, 0)
    _remember(current, before)
    events.note(current, "move", before=before)
    audit.record(by.user, "adapter:move", before, before=before, after=current.full_name)
    return current


def _remember(adapter: Adapter, before: str) -> None:
    # An old name of something else, or of this one when it comes back, leads nowhere else any more.
    Rename.objects.filter(type=adapter.type, full_name=adapter.full_name.lower()).delete()
    if before.lower() != adapter.full_name.lower():
        Rename.objects.create(type=adapter.type, full_name=before.lower(), adapter=adapter)


def _moved(full_name: str, type: str) -> Adapter | None:
    rows = Rename.objects.filter(type=type, full_name=full_name.lower())
    found = rows.select_related("adapter__namespace__person", "adapter__created_by").first()
    return found.adapter if found else None
