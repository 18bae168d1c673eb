"""SCIM 2.0: its routes, and discovery (RFC 7644, section 4): types of resources, and their attributes on this hub."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, reverse

from features.sso.wire import groups, people
from features.sso.wire.people import LIST, USER, answer, directory, error
from registry.kernel.texts.phrases import absolute

SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
RESOURCE_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
Json = dict[str, Any]


def _attribute(name: str, kind: str = "string", **differs: Any) -> Json:
    """Return the description of an attribute (RFC 7643, section 7)."""
    usual = {"multiValued": False, "required": False, "caseExact": False, "mutability": "readOnly"}
    return {"name": name, "type": kind, **usual, "returned": "default", "uniqueness": "none", **differs}


_VALUE = _attribute("value", mutability="immutable")
SCHEMAS: dict[str, Json] = {
    USER: {
        "name": "User",
        "description": "A person of this hub",
        "attributes": [
            _attribute("userName", required=True, mutability="immutable", uniqueness="server"),
            _attribute("displayName", mutability="immutable"),
            _attribute("name", "complex", subAttributes=[_attribute("formatted")]),
            _attribute("emails", "complex", multiValued=True, mutability="immutable", subAttributes=[_VALUE]),
            _attribute("active", "boolean", mutability="readWrite"),
        ],
    },
    groups.GROUP: {
        "name": "Group",
        "description": "A team of the organisation that DOVETAIL_SCIM_ORGANIZATION names",
        "attributes": [
            _attribute("displayName", required=True, mutability="readWrite", uniqueness="server"),
            _attribute(
                "members",
                "complex",
                multiValued=True,
                mutability="readWrite",
                subAttributes=[
                    _VALUE,
                    _attribute("$ref", "reference", referenceTypes=["User"], mutability="immutable"),
                    _attribute("display"),
                    _attribute("type", canonicalValues=["User"], mutability="immutable"),
                ],
            ),
        ],
    },
}
RESOURCE_TYPES = {"User": ("/Users", USER), "Group": ("/Groups", groups.GROUP)}


@directory("GET")
def resource_types(request: HttpRequest) -> HttpResponse:
    return _list([_resource_type(name) for name in _offered()])


@directory("GET")
def resource_type(request: HttpRequest, scim_name: str) -> HttpResponse:
    if scim_name not in _offered():
        return error(404, f"There is no resource type {scim_name[:50]!r}.")
    return answer(_resource_type(scim_name))


@directory("GET")
def schemas(request: HttpRequest) -> HttpResponse:
    return _list([_schema(name) for name in SCHEMAS])


@directory("GET")
def schema(request: HttpRequest, scim_name: str) -> HttpResponse:
    if scim_name not in SCHEMAS:
        return error(404, f"There is no schema {scim_name[:100]!r}.")
    return answer(_schema(scim_name))


def _offered() -> list[str]:
    """Return the resource types of this hub: groups only where they are the teams of an organisation."""
    return list(RESOURCE_TYPES) if settings.SCIM_ORGANIZATION else ["User"]


def _resource_type(name: str) -> Json:
    endpoint, schema_id = RESOURCE_TYPES[name]
    location = absolute(reverse("scim-resource-type", args=[name]))
    document = {"schemas": [RESOURCE_TYPE], "id": name, "name": name, "endpoint": endpoint, "schema": schema_id}
    return {**document, "meta": {"resourceType": "ResourceType", "location": location}}


def _schema(name: str) -> Json:
    location = absolute(reverse("scim-schema", args=[name]))
    meta = {"resourceType": "Schema", "location": location}
    return {"schemas": [SCHEMA], "id": name, **SCHEMAS[name], "meta": meta}


def _list(documents: list[Json]) -> HttpResponse:
    counts = {"totalResults": len(documents), "startIndex": 1, "itemsPerPage": len(documents)}
    return answer({"schemas": [LIST], **counts, "Resources": documents})


ROUTES = [
    path("Users", people.users, name="scim-users"),
    path("Users/<int:number>", people.user, name="scim-user"),
    path("ServiceProviderConfig", people.config, name="scim-config"),
    path("Groups", groups.groups, name="scim-groups"),
    path("Groups/<int:number>", groups.group, name="scim-group"),
    path("ResourceTypes", resource_types, name="scim-resource-types"),
    path("ResourceTypes/<str:scim_name>", resource_type, name="scim-resource-type"),
    path("Schemas", schemas, name="scim-schemas"),
    path("Schemas/<str:scim_name>", schema, name="scim-schema"),
]
WIRE = [path("scim/v2/", include(ROUTES))]
