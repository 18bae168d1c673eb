"""SCIM 2.0 (RFC 7643, 7644) as far as directories need it to add people to a hub and to end their access."""

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from django.db import IntegrityError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from features.sso import identities, tokens
from hub import limits
from hub.answers import refuse_nul
from hub.errors import http_form
from hub.read_only import refuse_write
from registry.kernel import audit
from registry.kernel.errors import NameTaken, RegistryError, ValueInvalid
from registry.kernel.texts import names
from registry.kernel.texts.phrases import absolute
from registry.models import User
from registry.people import accounts

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
MOST = 200
MAX_BODY = 100_000
View = Callable[..., HttpResponse]
Row = TypeVar("Row", bound=Model)


def answer(document: Mapping[str, object], status: int = 200) -> HttpResponse:
    return JsonResponse(document, status=status, content_type="application/scim+json")


def error(status: int, detail: str, kind: str = "") -> HttpResponse:
    document = {"schemas": [ERROR], "status": str(status), "detail": detail}
    return answer({**document, **({"scimType": kind} if kind else {})}, status)


def directory(*methods: str) -> Callable[[View], View]:
    """Wrap a view so that only the directory, by its bearer token, may use it; without a token nothing is here."""

    def wrap(view: View) -> View:
        @csrf_exempt
        @require_http_methods(list(methods))
        @wraps(view)
        def answered(request: HttpRequest, **route: Any) -> HttpResponse:
            if not tokens.is_expected():
                return error(404, "This hub takes no directory: make a token at /moderation/directory.")
            scheme, _, value = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not tokens.is_directory(value):
                return _stranger(request)
            audit.credential.set("scim")
            try:
                refuse_nul(request)
                refuse_write(request)
                return view(request, **route)
            except NameTaken as refusal:
                return error(409, refusal.detail, "uniqueness")
            except ValueInvalid as refusal:
                return error(400, f"{refusal.detail} {refusal.fix}".strip(), "invalidValue")
            except RegistryError as refusal:
                form = http_form(refusal)
                return form.say_when(error(form.status, f"{refusal.detail} {refusal.fix}".strip()))

        return answered

    return wrap


def _stranger(request: HttpRequest) -> HttpResponse:
    """Refuse a request without the directory's token, and count it: only such requests are limited here."""
    taken = limits.take(request, limits.Family.SIGN_IN)
    if taken is None or not taken.is_refused:
        return error(401, "The bearer token is not that of the directory.")
    response = error(429, taken.sentence)
    for name, value in taken.headers().items():
        response[name] = value
    return response


def shape(user: User) -> Mapping[str, object]:
    """Return a person as a directory reads it; their name there is the proven address, else the user name."""
    name = user.email if user.email and user.email_verified else user.username
    return {
        "schemas": [USER],
        "id": str(user.pk),
        "userName": name,
        "displayName": user.full_name,
        "name": {"formatted": user.full_name},
        "emails": [{"value": user.email, "primary": True, "type": "work"}] if user.email else [],
        "active": user.is_active,
        "meta": {
            "resourceType": "User",
            "created": user.created_at.isoformat(),
            "location": absolute(reverse("scim-user", args=[user.pk])),
        },
    }


@directory("GET", "POST")
def users(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _create(body_of(request))
    return listed(request, _filtered(request.GET.get("filter", "")), shape)


@directory("GET", "PUT", "PATCH", "DELETE")
def user(request: HttpRequest, number: int) -> HttpResponse:
    row = people().filter(pk=number).first()
    if row is None:
        return error(404, f"There is no person {number}.")
    if request.method == "DELETE":
        identities.remove(row)
        return HttpResponse(status=204)
    if request.method != "GET":
        body = body_of(request)
        active = _patched(body) if request.method == "PATCH" else _truth(body.get("active", True))
        if active is not None:
            (identities.come_back if active else identities.leave)(row)
    return answer(shape(row))


@directory("GET")
def config(request: HttpRequest) -> HttpResponse:
    no = {"supported": False}
    document = dict.fromkeys(("bulk", "changePassword", "sort", "etag"), no)
    bearer = {"type": "oauthbearertoken", "name": "Bearer token", "description": "A token of the directory"}
    some = {"patch": {"supported": True}, "filter": {"supported": True, "maxResults": MOST}}
    return answer({"schemas": [CONFIG], **document, **some, "authenticationSchemes": [bearer]})


def people() -> QuerySet[User]:
    """Return everybody who was not removed."""
    return User.objects.filter(kind=User.Kind.PERSON).exclude(departure=User.Departure.REMOVED).order_by("pk")


def _filtered(text: str) -> QuerySet[User]:
    """Return the people that `userName eq "…"` names, everybody without a filter. Raises ValueInvalid."""
    if not text:
        return people()
    attribute, operator, value = [*text.split(maxsplit=2), "", ""][:3]
    if attribute.lower() != "username" or operator.lower() != "eq" or len(value) < 2 or value[0] + value[-1] != '""':
        raise ValueInvalid(f"The filter {text[:100]!r} is not supported.", fix='Use userName eq "NAME".')
    name = value[1:-1].lower()
    return people().filter(
        Q(email__lower=name, email_verified=True) | Q(username__lower=name) & ~Q(email_verified=True, email__gt="")
    )


def _create(body: Mapping[str, object]) -> HttpResponse:
    name = body.get("userName")
    if not isinstance(name, str) or not name.strip():
        raise ValueInvalid("A person needs a userName.")
    listed = body.get("emails")
    found = [entry.get("value") for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    email = name if "@" in name else next((value for value in found if isinstance(value, str)), "")
    if _filtered(f'userName eq "{name}"').exists() or (email and _filtered(f'userName eq "{email}"').exists()):
        raise NameTaken(f"A person {name!r} already exists.")
    full_name, is_active = body.get("displayName"), _truth(body.get("active", True))
    identity = identities.Identity("scim", name, email, bool(email), full_name if isinstance(full_name, str) else "")
    try:
        created = identities.create(identity)
    except IntegrityError:
        raise NameTaken(f"A person {name!r} already exists.") from None
    if not is_active:
        identities.leave(created)
    return answer(shape(accounts.get_person(created.username) if created.is_active else created), 201)


def _patched(body: Mapping[str, object]) -> bool | None:
    """Return what a PATCH says of `active`, None if nothing: what else people are is theirs to change."""
    active = None
    operations = body.get("Operations")
    for operation in operations if isinstance(operations, list) else []:
        if isinstance(operation, dict) and str(operation.get("op", "")).lower() in {"replace", "add"}:
            value = operation.get("value")
            if str(operation.get("path", "")).lower() == "active":
                active = _truth(value)
            elif isinstance(value, dict) and "active" in value:
                active = _truth(value["active"])
    return active


def _truth(value: object) -> bool:
    """Return a boolean, which some directories write as a word. Raises ValueInvalid."""
    words = {"true": True, "false": False}
    if str(value).lower() not in words:
        raise ValueInvalid(f"active cannot be {str(value)[:50]!r}.", fix="Send true or false.")
    return words[str(value).lower()]


def body_of(request: HttpRequest) -> Mapping[str, object]:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
        raise ValueInvalid("The body is too large.")
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ValueInvalid("The body is not a JSON object.")
    if not names.is_storable(document):
        raise ValueInvalid("The body contains a NUL character or half a surrogate pair.", fix="Send plain text.")
    return document


def listed(request: HttpRequest, rows: QuerySet[Row], shape: Callable[[Row], Mapping[str, object]]) -> HttpResponse:
    """Answer with the part of a list that a directory asks for."""
    start, count = _number(request, "startIndex", 1), _number(request, "count", MOST)
    first = max(start, 1) - 1
    page = list(rows[first : first + min(max(count, 0), MOST)])
    document = {"schemas": [LIST], "totalResults": rows.count(), "startIndex": first + 1, "itemsPerPage": len(page)}
    return answer({**document, "Resources": [shape(row) for row in page]})


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default
