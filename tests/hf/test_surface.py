"""Every address that huggingface_hub 2.4.0 can build is answered by a route, or refused with a sentence of its own."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
from django.urls import Resolver404, resolve

from hub.hf.dialect import NoNamespace, Unknown, Unserved
from tests.hf.wire import Wire
from tests.sweep import sweep

SOURCE = Path(huggingface_hub.__file__).parent
HUBS = {"endpoint", "self.endpoint", "api.endpoint", "self.api.endpoint", "constants.ENDPOINT", "ENDPOINT"}
VERBS = {"get", "post", "put", "patch", "delete", "head", "stream"}
# What stands for the names in the client's templates; whatever else is named there is one segment.
SAMPLES = {
    "repo_id": "alice/reviews",
    "from_id": "alice/reviews",
    "src_repo_id": "alice/reviews",
    "bucket_id": "alice/bucket",
    "collection_slug": "alice/mine-0123456789abcdef01234567",
    "encoded_path_in_repo": "/folder",
    "encoded_prefix": "/folder",
    "repo_type": "model",
    "src_repo_type": "model",
    "api_prefix": "models",
    "url_prefix": "",
    "status": "pending",
    "token_type.value": "read",
    "discussion_num": "1",
    "resource": "comment",
    "revision": "main",
}
# The rest are pages for people, which the client only prints or opens.
ASKED = re.compile(r"/(api|oauth|uploads|papers)\b|/resolve/|\.git/")


def templates() -> Iterator[tuple[str, str, str]]:
    """Yield (where, verb or "", path) of each address below the hub's in the client's source."""
    for file in sorted(SOURCE.rglob("*.py")):
        text = file.read_text()
        nodes: list[Any] = list(ast.walk(ast.parse(text))) if any(f"{{{hub}}}" in text for hub in HUBS) else []
        verbs = {id(argument): call.func.attr for call in nodes for argument in _asked(call)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr) and _is_hubs(node):
                path = "".join(map(_text, node.values[1:])).partition("?")[0]
                if ASKED.search(path):
                    yield f"{file.relative_to(SOURCE)}:{node.lineno}", verbs.get(id(node), ""), path


def _asked(call: ast.AST) -> list[ast.expr]:
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr not in VERBS:
        return []
    return [*call.args[:1], *(word.value for word in call.keywords if word.arg == "url")]


def _is_hubs(text: ast.JoinedStr) -> bool:
    first = text.values[0] if text.values else None
    return isinstance(first, ast.FormattedValue) and ast.unparse(first.value) in HUBS


def _text(part: Any) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"


def address(path: str) -> str:
    """Return a template with samples in the place of its names."""
    path = path.replace("/api/{repo_id}/", "/api/models/{repo_id}/")  # where the client put the type into the id before
    path += "/main" if path.endswith("-token") else ""  # the client adds the revision later
    return re.sub(r"\{(.+?)\}", lambda found: _sample(found[1]), path)


def _sample(name: str) -> str:
    return next((SAMPLES[word] for word in (name, name.rpartition(".")[2]) if word in SAMPLES), "x")


SURFACE = sorted({(verb, path) for _, verb, path in templates()})


def test_the_walk_sees_what_the_client_asks_for():
    paths = {path for _, path in SURFACE}
    assert len(paths) > 90
    assert {"/api/repos/create", "/api/models/{repo_id}", "/api/whoami-v2", "/oauth/token"} <= paths
    assert ("post", "/api/repos/move") in SURFACE or ("", "/api/repos/move") in SURFACE


@sweep("verb, path", SURFACE)
def test_no_address_of_the_client_is_forgotten(verb: str, path: str):
    served = view_of(path)
    assert served not in (Unknown, NoNamespace), f"{verb} {address(path)} has no route of its own"
    known = served is Unserved or verb in ("", "stream") or hasattr(served, verb) or (verb == "head" and served.get)
    assert known, f"{served.__name__} does not answer {verb.upper()} {address(path)}"


def view_of(path: str) -> Any:
    """Return the view that answers a template; Unknown where there is none at all."""
    try:
        view = resolve(address(path)).func
        return getattr(view, "view_class", view)
    except Resolver404:
        return Unknown


@sweep("path", sorted({path for _, path in SURFACE if view_of(path) is Unserved}))
def test_what_is_not_served_says_so_in_json(wire: Wire, path: str):
    response = wire.get(address(path), who=None)
    assert response.status_code == 501
    assert response.json()["code"] == "not-supported"
    assert response.json()["detail"].endswith(".")
    assert response["X-Error-Message"].startswith(response.json()["detail"])
