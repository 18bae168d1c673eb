"""Reads DOVETAIL_OIDC_* and DOVETAIL_SCIM_*: identity providers, what their groups give, and the directory."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from hub.environment import Environment

PARTS = ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "GROUPS", "DOMAINS", "SESSION_HOURS")
HUB_ROLES = ("moderator", "admin")
MEMBER_ROLES = ("member", "read", "contributor", "write", "admin")
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
Grants = dict[str, list[tuple[str, str]]]


class Provider(NamedTuple):
    """An identity provider; `groups` maps a group there to (organisation, role) here, "" for a role in the hub."""

    id: str
    label: str
    issuer: str
    client_id: str
    client_secret: str
    groups: Grants
    domains: frozenset[str] = frozenset()  # of e-mail addresses that it may prove
    session_hours: int = 24  # after signing in by it


def providers(env: Environment) -> dict[str, Provider]:
    """Return the identity providers by id. Raises ImproperlyConfigured for one that is not whole."""
    pattern = re.compile(rf"DOVETAIL_OIDC_([A-Z0-9][A-Z0-9_]*?)_(?:{'|'.join(PARTS)})")
    env.names.update(f"DOVETAIL_OIDC_{{NAME}}_{part}" for part in PARTS)  # as docs/settings.md writes them
    names = sorted({match[1] for name in env.ENVIRON if (match := pattern.fullmatch(name))})
    configured = [_provider(env, name) for name in names]
    return {provider.id: provider for provider in configured}


def _provider(env: Environment, name: str) -> Provider:
    values = {part: env(f"OIDC_{name}_{part}") for part in PARTS[:3]}
    if missing := [f"DOVETAIL_OIDC_{name}_{part}" for part, value in values.items() if not value]:
        raise ImproperlyConfigured(f"The identity provider {name} also needs {', '.join(missing)}.")
    issuer = env(f"OIDC_{name}_ISSUER", https_url).rstrip("/") if values["ISSUER"] else ""
    groups = env(f"OIDC_{name}_GROUPS", group_roles, default={})
    label = name.replace("_", " ").title() if len(name) > 3 else name
    domains = env(f"OIDC_{name}_DOMAINS", mail_domains, default=frozenset())
    hours = env.int(f"OIDC_{name}_SESSION_HOURS", default=24)
    if hours < 1:
        raise ImproperlyConfigured(f"DOVETAIL_OIDC_{name}_SESSION_HOURS must be 1 or more.")
    id, client = name.lower().replace("_", "-"), (values["CLIENT_ID"], values["CLIENT_SECRET"])
    return Provider(id, label, issuer, *client, groups, domains, hours)


def https_url(value: str) -> str:
    """Check the address of a server to which secrets are sent; plain http may only stay on this machine."""
    parts = urlsplit(value)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS):
        return value
    raise ValueError("be an https:// address")


def mail_domains(value: str) -> frozenset[str]:
    """Parse `corp.example,corp.de`."""
    found = frozenset(part.strip().lower() for part in value.split(",") if part.strip())
    if not found or not all(re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", domain) for domain in found):
        raise ValueError("name domains of e-mail addresses, such as corp.example, separated by commas")
    return found


def group_roles(value: str) -> Grants:
    """Parse `engineers=acme:write,ner=acme/ner,operators=admin`: the groups there, and what each gives here.

    A team is a place like an organisation, with the role `member`.
    """
    grants: Grants = {}
    for entry in filter(None, (part.strip() for part in value.split(","))):
        group, _, given = entry.rpartition("=")  # names of groups may hold =
        given = given.strip()
        if re.fullmatch(r"[^/:\s]+/[^/:\s]+", given):
            given = f"{given}:member"
        organization, _, role = given.rpartition(":")
        if not group.strip() or role not in (MEMBER_ROLES if organization else HUB_ROLES):
            raise ValueError(
                f"name groups as group=organisation:role with one of the roles {', '.join(MEMBER_ROLES)}, "
                f"as group=organisation/team, or as group=role with one of {', '.join(HUB_ROLES)}; {entry!r} is none"
            )
        grants.setdefault(group.strip(), []).append((organization.lower(), role))
    return grants


def allauth_apps(configured: Mapping[str, Provider]) -> dict[str, Any]:
    """Return the identity providers as allauth wants them in SOCIALACCOUNT_PROVIDERS."""
    apps = [
        {
            "provider_id": provider.id,
            "name": provider.label,
            "client_id": provider.client_id,
            "secret": provider.client_secret,
            "settings": {"server_url": provider.issuer, "issuer": provider.issuer},
        }
        for provider in configured.values()
    ]
    return {"openid_connect": {"APPS": apps}}


def SETTINGS(env: Environment) -> dict[str, object]:  # as hub/settings.py looks for it
    """Return the settings of sign-on and of the directory. Raises ImproperlyConfigured."""
    configured, token = providers(env), env("SCIM_TOKEN")
    if token and len(token) < 32:
        raise ImproperlyConfigured("DOVETAIL_SCIM_TOKEN is too short: it needs at least 32 random characters.")
    return {
        "SIGN_ON": bool(configured),
        "OIDC_PROVIDERS": configured,
        "SOCIALACCOUNT_ADAPTER": "features.sso.pages.SignOnAdapter",
        "SOCIALACCOUNT_PROVIDERS": allauth_apps(configured),
        "SOCIALACCOUNT_STORE_TOKENS": False,
        "SCIM_TOKEN": token,
        "SCIM_ORGANIZATION": env("SCIM_ORGANIZATION"),  # whose teams its groups are; empty: it has none here
    }
