"""The OpenAPI document, and the same as a page that people can read; both come from the views."""

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.decorators.http import conditional_page, require_safe
from drf_spectacular.generators import SchemaGenerator

from hub.addresses import mounted_below
from hub.api import openapi_details

Schema = dict[str, Any]  # a part of the document, in the terms of the OpenAPI specification


@cache  # the routes do not change while a process lives, and making it takes a third of a second
def document() -> Schema:
    """Return the OpenAPI document of version 1."""
    ours = [path("api/v1/", include("hub.api.urls"))]  # the Hub's dialect is not ours to describe
    schema: Schema = SchemaGenerator(patterns=ours).get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # untyped there
    openapi_details.complete(schema)
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
    return render(request, "api/docs.html", {"groups": _groups(document()), "shapes": _shapes(document())})


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
        if status != "default"
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
