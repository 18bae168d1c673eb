"""The callers of each operation, as the OpenAPI document says it; tests/api/test_openapi.py asks every one of them."""

from typing import Any

from django.conf import settings

SAFE = frozenset({"get", "head"})
# Operations that answer people who are not signed in; others than these need a person.
ANYONE = frozenset({
    "search", "adapter", "aliases", "alias", "alias_history", "compare", "history", "manifest", "file", "verdict",
    "adapter_lineage", "lineage", "lock", "weights", "bases", "base", "base_adapters",
    "leaderboard", "changes", "downloads", "find", "fit", "lookup", "organization", "site", "transparency",
})  # fmt: skip
# Operations that no token may call.
SESSION = frozenset({
    "make_token", "revoke_token", "sessions", "end_session", "join_organization",
    "publishers", "trust_publisher", "distrust_publisher",
    "robots", "robot", "make_robot", "remove_robot", "make_robot_token", "revoke_robot_token",
    "moderation-delete", "quarantine", "release", "evidence", "takedown", "suspend", "unsuspend", "queue", "log",
    "blocklist", "block_files", "unblock_file", "quotas", "quota", "set_quota", "reset_quota",
})  # fmt: skip


def schemes() -> dict[str, Any]:
    """Return the ways to authenticate; the cookie is called as this hub calls it."""
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of a person or robot."},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "A browser in which a person is signed in.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRFToken",
            "description": "Beside the session, where something may change: the token that pages have in their forms.",
        },
    }


def requirements(operation: str, method: str, callers: str) -> list[dict[str, list[str]]]:
    """Return the alternatives, one of which must be met; {} needs nothing. `callers`: what a feature's view says."""
    session: dict[str, list[str]] = {"session": []} if method in SAFE else {"session": [], "csrf": []}
    if operation in SESSION or callers == "session":
        return [session]
    if callers == "token":
        return [{"token": []}]
    return [*([{}] if operation in ANYONE or callers == "anyone" else []), {"token": []}, session]
