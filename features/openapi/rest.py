"""The OpenAPI document, and the same as a page that people can read; both come from the views."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.decorators.http import conditional_page, require_safe
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request

from hub.addresses import mounted_below
from hub.api import records, site, streams, verdicts
from hub.api.problems import CONTENT_TYPE, Problem
from hub.api.views import DEPRECATED

SAFE = frozenset({"get", "head"})
Schema = dict[str, Any]  # a part of the document, in the terms of the OpenAPI specification


def schemes() -> Schema:
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


def requirements(method: str, callers: str) -> list[dict[str, list[str]]]:
    """Return the alternatives, one of which must be met; {} needs nothing. `callers`: what its view says."""
    session: dict[str, list[str]] = {"session": []} if method in SAFE else {"session": [], "csrf": []}
    if callers == "session":
        return [session]
    if callers == "token":
        return [{"token": []}]
    return [*([{}] if callers == "anyone" else []), {"token": []}, session]


KEPT = frozenset({"post", "put", "patch", "delete"})  # methods with which an Idempotency-Key counts


class TextSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # drf-spectacular registers subclasses
    """Says of a text in a body that it may not be empty; the generator says so of answers too, or of nothing."""

    target_class = "hub.api.pages.Text"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Schema:
        schema: Schema = auto_schema._map_serializer_field(self.target, direction, bypass_extensions=True)
        schema["type"] = "string"  # whether it may be null is said around it
        return schema if self.target.allow_blank else {**schema, "minLength": 1}


PARAMETERS = {
    "ns": ("A person or an organisation.", "alice"),
    "name": ("The name of an adapter in its namespace; below /moderation/users that of a person.", "reviews"),
    "rev": ("A branch, tag, alias, commit id (five hex digits or more), full ref, HEAD or `verified`.", "main"),
    "a": ("The revision to begin with, as `rev` elsewhere.", "v1"),
    "b": ("The revision to end with.", "main"),
    "path": ("The path of a file in the revision.", "adapter_config.json"),
    "key": ("The id of a try.", "0" * 32),
    "alias": ("The name of an alias.", "prod"),
    "branch": ("The name of a branch; it may hold slashes.", "next"),
    "tag_name": ("The name of a tag; it may hold slashes.", "v1.0.0"),
    "release": ("The tag of a release; to read, `latest` is the latest stable one.", "v1.0.0"),
    "platform": ("kserve, dynamo, aibrix, production-stack, llm-d or inference-model.", "kserve"),
    "base": (
        "A base model by any of its names.",
        "sentence-transformers/all-MiniLM-L6-v2",
    ),
    "org": ("The name of an organisation.", "acme"),
    "user": ("The name of a person.", "bob"),
    "team": ("The name of a team of the organisation.", "ner"),
    "robot": ("The name of a robot of the organisation.", "deploy"),
    "type": ("any, model, dataset or space.", "any"),
    "pattern": ("A pattern of names: * is any characters, ? one.", "ner-*"),
    "sha256": ("64 hex digits.", "0" * 64),
    "id": ("The number that the list gives.", 1),
    "number": ("The number of a discussion of the adapter.", 1),
    "comment": ("The `id` of a comment of the discussion.", 1),
    "slug": ("The part of a collection's address after its owner.", f"sentiment-{'0' * 24}"),
    "item": ("The number of an item of the collection.", 1),
    "delivery": ("The number of a delivery of the webhook.", 1),
    "limit": ("How many items a page has at most.", 30),
    "author": ("The namespace that an adapter is in.", "alice"),
    "kind": ("The method: lora, ia3, prefix-tuning …", "lora"),
    "license": ("As the card names it.", "apache-2.0"),
    "task": ("A pipeline tag.", "text-classification"),
    "tag": ("A tag of the card or one that was derived.", "peft"),
    "verdict": ("The state of the verdict; passed: there is a verified version.", "passed"),
    "rank_min": ("The least rank.", 4),
    "rank_max": ("The largest rank.", 64),
    "size_min": ("The least size in bytes, of all files.", 1_000_000),
    "size_max": ("The largest size in bytes, of all files.", 50_000_000),
    "actor": ("Who did it.", "mona"),
    "object": ("What it was done to.", "alice/reviews"),
    "q": ("Words to look for.", "reviews"),
    "reason": ("Why it was reported.", "spam"),
    "source": ("Who began the case: people who reported, or the hub.", "people"),
    "target": ("What the case is about.", "repository"),
    "state": ("Whether the case is open, claimed or closed.", "open"),
    "severity": ("How grave cases are.", None),
}
HEADERS: dict[str, Schema] = {
    "ETag": {"description": "The state of the answer, for If-None-Match.", "schema": {"type": "string"}},
    "RateLimit": {"description": "What is left of the quota, and when it is full again.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The quota: requests and seconds.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before asking again.", "schema": {"type": "integer"}},
    "Location": {"description": "Where the bytes are.", "schema": {"type": "string", "format": "uri-reference"}},
    "X-Request-Id": {"description": "Names this request in the log.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "true: the stored answer of an earlier request with this Idempotency-Key.",
        "schema": {"type": "string"},
    },
    "Deprecation": {"description": "Since when the operation is deprecated (RFC 9745).", "schema": {"type": "string"}},
    "Sunset": {"description": "From when it may be gone (RFC 8594).", "schema": {"type": "string"}},
}
IDEMPOTENCY_KEY: Schema = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "A text of your own, new for each deed: the same request sent again within 24 hours does nothing "
    "and has the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def complete(schema: Schema) -> None:
    """Add the details to a document that was made from the views."""
    _unmark(schema)
    components = schema["components"]
    components["securitySchemes"] = schemes()
    components["headers"] = HEADERS
    components["parameters"] = {"IdempotencyKey": IDEMPOTENCY_KEY}
    components["schemas"]["Problem"] = _problem()
    for route, operations in schema["paths"].items():
        for method, operation in operations.items():
            _complete(method, route, operation)


def _unmark(part: Any) -> None:
    """Remove the generator's own marks of enumerations."""
    if isinstance(part, dict):
        part.pop("x-spec-enum-id", None)
        for inner in part.values():
            _unmark(inner)
    elif isinstance(part, list):
        for inner in part:
            _unmark(inner)


def _problem() -> Schema:
    members = Problem(500, "internal-error", "").document()
    fields = {name: {"type": "integer" if isinstance(value, int) else "string"} for name, value in members.items()}
    example = {
        "type": "https://hub.example.org/docs/errors#adapter-not-found",
        "title": "Adapter not found",
        "status": 404,
        "code": "adapter-not-found",
        "detail": "There is no repository 'alice/reviews', or you may not see it.",
        "fix": "Check the spelling of namespace/name; sign in if the repository is private.",
    }
    return {"type": "object", "properties": fields, "required": list(fields), "examples": [example]}


def _complete(method: str, path: str, operation: Schema) -> None:
    responses = operation["responses"]
    is_deprecated = f"{method.upper()} {path}" in DEPRECATED
    operation["security"] = requirements(method, operation.pop("x-callers", ""))
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for refused, description in _refusals(method, path, operation):
        responses[refused] = {"description": description, "content": content}
    for parameter in operation.get("parameters", []):
        _describe(parameter)
    if is_kept := method in KEPT and {} not in operation["security"]:
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    if is_deprecated:
        operation["deprecated"] = True
    example = operation.pop("x-example", None)
    if (body := operation.get("requestBody")) and example:
        body["content"]["application/json"]["example"] = example
    for status, response in responses.items():
        for header in _headers(method, status, is_kept=is_kept, is_deprecated=is_deprecated):
            response.setdefault("headers", {})[header] = {"$ref": f"#/components/headers/{header}"}


def _refusals(method: str, path: str, operation: Schema) -> Iterator[tuple[str, str]]:
    """Yield the statuses of refusals that an operation may answer with; `default` is any other."""
    if "requestBody" in operation or any(one["in"] == "query" for one in operation.get("parameters", [])):
        yield "400", "Something in the request is not valid."
    yield "401", "The token is not valid, or the operation needs one."
    if method not in SAFE or {} not in operation["security"]:
        yield "403", "The caller may not do this."
    if "{" in path:
        yield "404", "There is no such thing, or the caller may not see it."
    if method in KEPT:
        yield "409", "It does not go together with what is there now."
    yield "429", "The caller has asked too often."
    yield "default", "A refusal (RFC 9457)"


def _describe(parameter: Schema) -> None:
    description, example = PARAMETERS.get(parameter["name"], ("", None))
    parameter.setdefault("description", description)
    if example is not None and parameter["in"] == "path":
        parameter["example"] = example


def _headers(method: str, status: str, *, is_kept: bool, is_deprecated: bool) -> list[str]:
    names = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
    if method == "get" and status == "200":
        names.append("ETag")
    if status in ("429", "default") or (method, status) == ("get", "202"):
        names.append("Retry-After")
    if status == "302":
        names.append("Location")
    if is_kept and status < "400":
        names.append("Idempotency-Replayed")
    if is_deprecated:
        names += ["Deprecation", "Sunset"]
    return names


@cache  # the routes do not change while a process lives, and making it takes a third of a second
def document() -> Schema:
    """Return the OpenAPI document of version 1."""
    ours = [path("api/v1/", include("hub.api.urls"))]  # the Hub's dialect is not ours to describe
    schema: Schema = SchemaGenerator(patterns=ours).get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # untyped there
    complete(schema)
    return schema


@require_safe
@conditional_page
def openapi(request: HttpRequest) -> HttpResponse:
    """Answer with the document."""
    schema = document() | {"servers": [{"url": mounted_below() or "/", "description": "This hub"}]}
    return JsonResponse(schema, headers={"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"})


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Answer with the document as a page."""
    return render(request, "openapi/docs.html", {"groups": _groups(document()), "shapes": _shapes(document())})


def _groups(schema: Schema) -> dict[str, list[Schema]]:
    """Return the operations by the first part of their path."""
    groups: dict[str, list[Schema]] = {}
    for route, operations in schema["paths"].items():
        first = route.removeprefix("/api/v1/").partition("/")[0]
        for method, operation in operations.items():
            groups.setdefault(first, []).append(_operation(route, method, operation))
    return groups


def _operation(route: str, method: str, operation: Schema) -> Schema:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    answers = {
        status: _name(answer.get("content", {}).get("application/json", {}).get("schema"))
        for status, answer in operation["responses"].items()
        if status < "400"
    }
    return {
        "method": method.upper(),
        "path": mounted_below() + route,
        "id": operation["operationId"],
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": [parameter for parameter in operation.get("parameters", []) if parameter.get("in") == "query"],
        "body": _name(body),
        "answers": answers,
    }


def _shapes(schema: Schema) -> dict[str, list[Schema]]:
    """Return each shape's fields with a word about their type."""
    return {
        name: [
            {
                "name": field,
                "type": _name(said) or "any",
                "help": said.get("description", ""),
                "nullable": is_nullable(said),
            }
            for field, said in shape.get("properties", {}).items()
        ]
        for name, shape in schema["components"]["schemas"].items()
        if "properties" in shape
    }


def is_nullable(schema: Schema) -> bool:
    """Return whether null is a value of a schema."""
    kinds = schema.get("type", ())
    return "null" in ([kinds] if isinstance(kinds, str) else kinds) or any(
        is_nullable(one) for union in ("oneOf", "anyOf") for one in schema.get(union, ())
    )


def _name(schema: Schema | None) -> str:
    """Return a word for a type: a shape's name, `list of …`, or the JSON type."""
    if not schema:
        return ""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "allOf" in schema or "oneOf" in schema:
        return _name((schema.get("allOf") or schema["oneOf"])[0])
    if schema.get("type") == "array":
        return f"list of {_name(schema['items']) or 'any'}"
    if "enum" in schema:
        return " · ".join(str(value) for value in schema["enum"])
    kinds = schema.get("type", "")
    return str(schema.get("format") or (kinds if isinstance(kinds, str) else kinds[0]))


LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID", str, OpenApiParameter.HEADER, description="The id of the last event that you have."
)
EVENTS = OpenApiResponse(OpenApiTypes.STR, "Each event has one object of the plain answer as its data.")
ANSWERS = {(200, streams.KIND): EVENTS}


class ChangeEvents(site.Changes):
    always_streams = True

    @records.operation("change_events", query=[site.Since, LAST_EVENT_ID], answers=ANSWERS, callers="anyone")
    def get(self, request: Request) -> HttpResponseBase:
        """A stream of events."""
        return super().get(request)


class VerdictEvents(verdicts.OneVerdict):
    always_streams = True

    @records.operation(
        "verdict_events",
        query=[LAST_EVENT_ID],
        answers=ANSWERS | {204: OpenApiResponse(description="No event will follow.")},
        callers="anyone",
    )
    def get(self, request: Request, ns: str, name: str, rev: str) -> HttpResponseBase:
        """The verdict, as an event each time it has changed."""
        return super().get(request, ns=ns, name=name, rev=rev)


REST = [
    path("openapi.json", openapi, name="openapi"),
    path("docs", docs, name="api-docs"),
    path("changes/events", ChangeEvents.as_view(), name="rest-change-events"),
    path(
        "adapters/<str:ns>/<str:name>/revisions/<path:rev>/verdict/events",
        VerdictEvents.as_view(),
        name="rest-verdict-events",
    ),
]
