"""Apply an operator's file: people, organisations, tokens and site settings; the command adds the bases."""

from collections.abc import Iterator
from dataclasses import asdict

from django.db import transaction

from registry.kernel import seams, site_settings
from registry.kernel.errors import NamespaceNotFound, ValueInvalid
from registry.models import Namespace, Organization, User
from registry.people import accounts, profiles, quota_limits
from registry.people.organizations import organizations
from registry.people.provision_file import Entry, Quota, RequestedBase, at, moment, parse
from registry.people.tokens import tokens

VISIBILITY = {"public": False, "private": True}


class Plan:
    """The content of a file. Reading it finds mistakes in the file; `apply` finds conflicts with this hub."""

    def __init__(self, text: str) -> None:
        root = Entry(parse(text), "the file")
        self._users = [Entry(value, f"users[{n}]") for n, value in enumerate(root.entries("users"))]
        self._organizations = [
            Entry(value, f"organizations[{n}]") for n, value in enumerate(root.entries("organizations"))
        ]
        self.bases = [_base(Entry(value, f"bases[{n}]")) for n, value in enumerate(root.entries("bases"))]
        self._site = root.words("site")
        root.end()

    def apply(self) -> list[str]:
        """Create or change everything that the file names, all or nothing; return one line for each change.

        Everything else stays as it is. Raises ValueInvalid, which says where in the file.
        """
        try:
            with transaction.atomic():
                changes = [change for entry in self._users for change in _person(entry)]
                changes += [change for entry in self._organizations for change in _organization(entry)]
                changes += [f"site: {name} is {value}" for name, value in self._site.items() if _setting(name, value)]
        finally:
            site_settings.clear_cache()  # a value that was rolled back must not be remembered
        return changes


# --- people ----------------------------------------------------------------------------------------------------------
def _person(entry: Entry) -> Iterator[str]:
    name = entry.needed("name")
    entry.where += f" ({name})"
    with at(entry.where):
        fields = {key: entry.text(key) for key in ("full_name", "email", "password", "role")}
        entries = [Entry(value, f"{entry.where}: tokens[{n}]") for n, value in enumerate(entry.entries("tokens"))]
        quota = entry.quota()
        entry.end()
        if fields["password"] == "":
            raise ValueInvalid("The password is empty.", fix="Omit the key to keep the current password.")
        user = User.objects.select_related("namespace").filter(namespace__name__lower=name.lower()).first()
        if user is None:
            user = accounts.create_person(name, **{key: value for key, value in fields.items() if value is not None})
            yield f"person {name}: made"
        elif changed := _change(user, **fields):
            yield f"person {user}: changed {', '.join(changed)}"
        yield from _limits(user.namespace, quota)
    for token in entries:
        yield from _token(user, token)


def _change(user: User, full_name: str | None, email: str | None, password: str | None, role: str | None) -> list[str]:
    is_renamed = full_name is not None and accounts.set_profile(user, full_name=full_name, by=None)
    is_moved = email is not None and profiles.set_address(user, email, verified=True, by=None)
    changed = {
        "profile": is_renamed or is_moved,
        "password": password is not None and accounts.set_password(user, password, by=None),
        "role": role is not None and accounts.set_role(user, role, by=None),
    }
    return [name for name, has_changed in changed.items() if has_changed]


def _token(user: User, entry: Entry) -> Iterator[str]:
    name, role, value = entry.needed("name"), entry.needed("role"), entry.needed("value")
    entry.where += f" ({name})"
    with at(entry.where):
        expires_at, grants = moment(entry.text("expires_at")), entry.words("repos")
        entry.end()
        if tokens.set_token(user, name, role, value=value, expires_at=expires_at, grants=grants):
            yield f"token {name} of {user}: set, {role}"


# --- organisations and the rest ---------------------------------------------------------------------------------------
def _organization(entry: Entry) -> Iterator[str]:
    name = entry.needed("name")
    entry.where += f" ({name})"
    with at(entry.where):
        full_name, visibility = entry.text("full_name"), entry.text("default_visibility")
        members, quota = entry.words("members"), entry.quota()
        kinds = (kind for feature in seams.joined() for kind in feature.organization_parts)
        lists = [(apply, entry.parts(key)) for key, apply in kinds]
        entry.end()
        if visibility not in (None, *VISIBILITY):
            raise ValueInvalid(f"default_visibility cannot be {visibility!r}.", fix="Use public or private.")
        organization, change = _set_organization(name, full_name, visibility)
        if change:
            yield f"organisation {organization}: {change}"
        yield from _limits(organization.namespace, quota)
        for member, role in members.items():
            if organizations.set_member(organization, accounts.get_person(member), role, by=None):
                yield f"organisation {organization}: {member} is {role}"
        for apply, parts in lists:
            for part in parts:
                yield from apply(organization, part)


def _set_organization(name: str, full_name: str | None, visibility: str | None) -> tuple[Organization, str]:
    """Create or change an organisation; return it, and what happened in a word. None leaves a field as it is."""
    organization = _organization_named(name)
    if organization is None:
        is_private = VISIBILITY[visibility or "public"]
        made = organizations.create_organization(
            name, by=None, full_name=full_name or "", private_by_default=is_private
        )
        return made, "made"
    has_changed = organizations.change_organization(
        organization,
        full_name=organization.full_name if full_name is None else full_name,
        private_by_default=VISIBILITY.get(visibility or "", organization.private_by_default),
        by=None,
    )
    return organization, "changed" if has_changed else ""


def _limits(namespace: Namespace, quota: Quota | None) -> Iterator[str]:
    if quota is not None and quota_limits.change_as(None, namespace, **asdict(quota)):
        yield f"quota of {namespace}: set"


def _organization_named(name: str) -> Organization | None:
    try:
        # A former name counts too. A person's namespace has no organisation: create_organization refuses its name.
        return getattr(accounts.resolve_namespace(name), "organization", None)
    except NamespaceNotFound:
        return None


def _setting(name: str, value: str) -> bool:
    with at("site"):
        return site_settings.change_setting(name, value, by=None)


def _base(entry: Entry) -> RequestedBase:
    base_id = entry.needed("id")
    package, path, config = (entry.text(key) or "" for key in ("package", "path", "config"))
    entry.end()
    if [bool(package), bool(path), bool(config)].count(True) != 1:
        raise ValueInvalid(
            f"{entry.where} ({base_id}): it needs exactly one of package, path and config.", fix="Set one of them."
        )
    return RequestedBase(base_id, package, path, config)
