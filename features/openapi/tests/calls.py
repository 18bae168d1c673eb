"""Calls of REST on a hub that runs, one after the other, which generated clients of two languages make.

NAME is a name of the client's own. A value `$word` is the member that the call with that word kept of its answer.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Call(NamedTuple):
    """An operation, its parameters, its body, and what is kept of its answer: (word, member)."""

    id: str
    parameters: Mapping[str, Any] = {}
    body: Mapping[str, Any] | None = None
    kept: tuple[str, str] = ("", "")


HERE = {"ns": "alice", "name": "NAME"}
ORG, TEAM = {"org": "org-NAME"}, {"org": "org-NAME", "team": "ner"}
THREAD = HERE | {"number": "$thread"}
SHELF = {"ns": "alice", "slug": "$slug"}
HOOK = {"id": "$hook"}
README = {"path": "README.md", "content": "# Reviews\n"}
CALLS = [
    Call("me"),
    Call("profile"),
    Call("change_profile", body={"bio": "Adapters", "links": ["https://example.org"]}),
    Call("own_usage"),
    Call("tokens"),
    Call("notifications", {"limit": 2}),
    Call("set_notification_preferences", body={"channels": {"watched": "site"}, "digest_hour": 6}),
    Call("notification_preferences"),
    Call("own_invitations"),
    Call("site"),
    Call("bases"),
    Call("changes", {"since": 0, "limit": 2}),
    Call("find", {"q": "reviews"}),
    Call("create_adapter", body={"id": "alice/NAME", "private": True}),
    Call("change_adapter", HERE, {"private": False}),
    Call("adapter", HERE),
    Call("commit", HERE, {"summary": "Begin", "files": [README]}, ("first", "revision")),
    Call("history", HERE),
    Call("manifest", HERE | {"rev": "$first"}),
    Call("create_branch", HERE | {"branch": "next"}, {"revision": "$first"}),
    Call("create_tag", HERE | {"tag_name": "v0"}, {}),
    Call("delete_branch", HERE | {"branch": "next"}),
    Call("delete_tag", HERE | {"tag_name": "v0"}),
    Call("search", {"limit": 2}),
    Call("downloads", HERE),
    Call("deprecate", HERE, {"message": "Use another."}),
    Call("undeprecate", HERE),
    Call("like", HERE),
    Call("likes_adapter", HERE),
    Call("likers", HERE),
    Call("own_likes"),
    Call("unlike", HERE),
    Call("watch", HERE, {"level": "all"}),
    Call("watching", HERE),
    Call("follow_owner", {"ns": "bob"}),
    Call("following"),
    Call("unfollow_owner", {"ns": "bob"}),
    Call("open_discussion", HERE, {"title": "Which rows?", "text": "Of which split?"}, ("thread", "number")),
    Call("comment", THREAD, {"text": "The test split."}, ("said", "id")),
    Call("edit_comment", THREAD | {"comment": "$said"}, {"text": "Its 872 rows."}),
    Call("hide_comment", THREAD | {"comment": "$said"}),
    Call("change_discussion", THREAD, {"title": "The rows", "status": "closed"}),
    Call("discussion", THREAD),
    Call("discussions", HERE | {"kind": "discussion"}),
    Call("create_collection", body={"title": "NAME"}, kept=("slug", "slug")),
    Call("add_to_collection", SHELF, {"type": "model", "name": "alice/NAME"}),
    Call("change_collection", SHELF, {"theme": "blue"}),
    Call("collection", SHELF),
    Call("collections", {"owner": ["alice"]}),
    Call("delete_collection", SHELF),
    Call(
        "create_webhook",
        body={"url": "https://example.org/x", "watched": [{"type": "model", "name": "alice/NAME"}]},
        kept=("hook", "id"),
    ),
    Call("webhooks"),
    Call("change_webhook", HOOK, {"domains": ["verdict"]}),
    Call("test_webhook", HOOK),
    Call("webhook_deliveries", HOOK),
    Call("delete_webhook", HOOK),
    Call("found_organization", body={"name": "org-NAME"}),
    Call("change_organization", ORG, {"full_name": "The lab"}),
    Call("organization", ORG),
    Call("members", ORG),
    Call("invite", ORG | {"user": "bob"}, {"role": "read"}),
    Call("invitations", ORG),
    Call("withdraw_invitation", ORG | {"user": "bob"}),
    Call("create_team", ORG, {"name": "ner"}),
    Call("team", TEAM),
    Call("delete_team", TEAM),
    Call("own_access", HERE),
    Call("access_requests", HERE | {"status": "pending"}),
    Call("delete_adapter", HERE),
    Call("deleted_adapters"),
    Call("delete_organization", ORG),
]


def named(value: Any, name: str) -> Any:
    """Return a value in which NAME is the client's own name."""
    if isinstance(value, str):
        return value.replace("NAME", name)
    if isinstance(value, Mapping):
        return {key: named(inner, name) for key, inner in value.items()}
    return [named(inner, name) for inner in value] if isinstance(value, list) else value


def calls(name: str) -> Iterator[Call]:
    """Yield the calls of a client."""
    for call in CALLS:
        yield call._replace(parameters=named(call.parameters, name), body=named(call.body, name))
