"""An operator's file of people, organisations, tokens and site settings: read it, each key once, and apply it.

The command adds the bases.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import yaml
from django.db import transaction
from django.utils.dateparse import parse_date, parse_datetime

from registry.kernel import seams, site_settings
from registry.kernel.errors import NamespaceNotFound, RegistryError, ValueInvalid
from registry.kernel.texts import plain_yaml
from registry.models import Namespace, Organization, User
from registry.people import accounts, profiles, quota_limits
from registry.people.organizations import organizations
from registry.people.tokens import tokens

MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class RequestedBase:
    """A base model to add to the base cache from a package or a folder, or to know by its config.json alone."""

    id: str
    package: str
    path: str
    config: str = ""


@dataclass(frozen=True)
class Quota:
    """The limits of one owner; None for the hub's own."""

    bytes: int | None
    repositories: int | None
    reason: str


class Entry:
    """One mapping of the file. Every key is taken once; keys left over at the end are mistakes."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise ValueInvalid(f"{where}: this is not a mapping of names to values.", fix="Write `{name: …}` there.")
        self.where, self._left, self._known = where, dict(value), set[str]()

    def take(self, key: str, kind: type, name: str) -> Any:
        """Return the value of a key if it is there and of that type; None when it is not there."""
        self._known.add(key)
        value = self._left.pop(key, None)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            fix = "Put it in quotes." if kind is str and isinstance(value, int | float | bool) else ""
            raise ValueInvalid(f"{self.where}: {key} must be {name}, not {value!r}.", fix=fix)
        return value

    def text(self, key: str) -> str | None:
        """Return a text, or None when the file does not say."""
        value: str | None = self.take(key, str, "a text")
        return value

    def needed(self, key: str) -> str:
        """Return a text that must be there."""
        value = self.text(key)
        if not value:
            raise ValueInvalid(f"{self.where}: {key} is missing.", fix=f"Add `{key}: …`.")
        return value

    def entries(self, key: str) -> list[object]:
        """Return a list, empty when it is not there."""
        return list(self.take(key, list, "a list") or [])

    def amount(self, key: str) -> int | None:
        """Return a limit: a whole number, or 0 for `none`; None when the file does not say."""
        if self._left.get(key) == "none":
            self._left[key] = 0
        amount: int | None = self.take(key, int, "a whole number or none")
        return amount

    def quota(self) -> "Quota | None":
        """Return the limits under `quota`, None when the file names none."""
        if "quota" not in self._left:
            self._known.add("quota")
            return None
        entry = Entry(self.take("quota", dict, "a mapping") or {}, f"{self.where}: quota")
        quota = Quota(entry.amount("bytes"), entry.amount("repositories"), entry.text("reason") or "")
        entry.end()
        return quota

    def words(self, key: str) -> dict[str, str]:
        """Return a mapping of names to texts, empty when it is not there."""
        mapping = Entry(self.take(key, dict, "a mapping") or {}, f"{self.where}: {key}")
        return {name: mapping.needed(name) for name in list(mapping._left)}

    def parts(self, key: str) -> list["Entry"]:
        """Return a list of mappings as entries, empty when it is not there."""
        return [Entry(value, f"{self.where}: {key}[{n}]") for n, value in enumerate(self.entries(key))]

    def lists(self, key: str) -> dict[str, list[str]]:
        """Return a mapping of names to texts or lists of texts, each as a list."""
        mapping = Entry(self.take(key, dict, "a mapping") or {}, f"{self.where}: {key}")
        return {name: mapping._texts(name) for name in list(mapping._left)}

    def _texts(self, key: str) -> list[str]:
        if not isinstance(self._left.get(key), list):
            return [self.needed(key)]
        texts = self.entries(key)
        if not all(isinstance(text, str) for text in texts):
            raise ValueInvalid(f"{self.where}: {key} must contain strings.", fix="Put each value in quotes.")
        return [str(text) for text in texts]

    def end(self) -> None:
        """Refuse keys that nobody took."""
        if self._left:
            keys = ", ".join(repr(key) for key in self._left)
            raise ValueInvalid(
                f"{self.where}: unknown key {keys}.", fix=f"Known here: {', '.join(sorted(self._known))}."
            )


def parse(text: str) -> object:
    """Return the document of a file of YAML or JSON. Raises ValueInvalid."""
    try:
        if text.lstrip().startswith("{"):  # JSON is YAML but for its escapes of characters beyond the first 65,536
            return json.loads(text, object_pairs_hook=_without_doubles)
        return plain_yaml.parse_mapping(text, most=MAX_BYTES, what="the file")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, json.JSONDecodeError) else plain_yaml.describe_error(error)
        raise ValueInvalid(f"The file cannot be read: {why}.", fix="Correct it; nothing was changed.") from None


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key is there twice in one object")
    return mapping


@contextmanager
def at(where: str) -> Iterator[None]:
    """Add the place in the file to a refusal of the domain."""
    try:
        yield
    except RegistryError as error:
        if error.detail.startswith(where):
            raise
        raise ValueInvalid(f"{where}: {error.detail}", fix=error.fix) from error


def moment(text: str | None) -> datetime | None:
    """Return the time that a text names, in UTC if it names no zone; a date means its first moment."""
    if text is None:
        return None
    try:
        day = parse_date(text)
        moment = datetime(day.year, day.month, day.day) if day else parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ValueInvalid(f"expires_at {text!r} is not a timestamp.", fix="Write it as 2027-01-01T00:00:00Z.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
