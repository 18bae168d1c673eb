"""Create and delete repositories, change their settings, and check what the caller may do."""

import yaml
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from hub.answers import answer
from hub.hf import bodies, shapes
from hub.hf.dialect import Route
from hub.origin import origin
from registry.kernel.errors import NotSupported, SignInRequired, ValueInvalid
from registry.kernel.policy import Permission
from registry.kernel.texts import ids
from registry.models import Base
from registry.people import gates
from registry.publish import push, repositories
from registry.repos import lookup

VISIBILITY = {"public": False, "private": True}


class Create(Route):
    """POST /api/repos/create: 200 or 409, both with the address, which `exist_ok` reads from either."""

    def post(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Creating a repository needs a token.")
        body = bodies.json_object(request)
        type, full_name = named_in(body, self.caller.user.username)
        files = [card_of_a_space(body)] if type == "space" else []
        repository = repositories.create(full_name, self.caller, private=privacy_in(body), type=type, files=files)
        url = shapes.page_of(repository, origin(request))
        return answer({"url": url, "name": repository.full_name, "id": ids.format_hub_id(repository.pk)})


class Delete(Route):
    """DELETE /api/repos/delete, with a JSON body"""

    def delete(self, request: HttpRequest) -> HttpResponse:
        if self.caller.user is None:
            raise SignInRequired("Deleting a repository needs a token.")
        type, full_name = named_in(bodies.json_object(request), self.caller.user.username)
        repositories.delete(lookup.find(full_name, self.caller, Permission.CONFIGURE, type=type), self.caller)
        return answer({})


class Settings(Route):
    """PUT /api/models/{id}/settings: visibility, and the gate before the files"""

    def put(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.CONFIGURE)
        body = bodies.json_object(request)
        private = privacy_in(body)
        gate = gate_in(body)
        with transaction.atomic():
            if gate is not None:
                gates.set_gate(repository, gate, self.caller)
            if private is not None:
                repositories.set_private(repository, private, self.caller)
        return answer({"private": repository.private, "gated": repository.gated or False})


def gate_in(body: bodies.JsonObject) -> str | None:
    """Return the gate that a body wishes: "auto", "manual", "" for none, None where it says nothing."""
    value = body.get("gated")
    return "" if value is False else None if value is None else bodies.text(body, "gated")


class AuthCheck(Route):
    """GET /api/models/{id}/auth-check[/write]"""

    permission = base_permission = Permission.DOWNLOAD
    base_methods = ("GET", "HEAD")

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        self.repository(ns, name, self.permission)
        return answer({})

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponse:
        return answer({})


class WriteCheck(AuthCheck):
    """The same for pushing"""

    permission = base_permission = Permission.PUSH


def card_of_a_space(body: bodies.JsonObject) -> push.Inline:
    """Return the README.md that a space begins with: clients look there for what would run it, and never write one."""
    title, sdk = bodies.text(body, "name").rpartition("/")[2], bodies.text(body, "sdk", "static")
    metadata = yaml.safe_dump({"title": title, "sdk": sdk}, sort_keys=False, allow_unicode=True)
    return push.Inline("README.md", f"---\n{metadata}---\n".encode())


def named_in(body: bodies.JsonObject, username: str) -> tuple[str, str]:
    """Return (type, full name) of the repository a body names; without a namespace it is the caller's own.

    The `adapters` library sends the whole id as the name.
    """
    name, organization = bodies.text(body, "name"), bodies.text(body, "organization", "")
    type = known_type(bodies.text(body, "type", "model"))
    return type, name if "/" in name and not organization else f"{organization or username}/{name}"


def known_type(type: str) -> str:
    """Return the type of a repository. Raises NotSupported for those that this hub does not keep."""
    if type not in shapes.PREFIXES:
        raise NotSupported(
            f"This hub keeps no repositories of type {type[:40]!r}.", fix="Use a model, a dataset or a space."
        )
    return type


def privacy_in(body: bodies.JsonObject) -> bool | None:
    """Return whether a body asks for a private repository; None where it does not say. 0.x sends `private`."""
    visibility, private = body.get("visibility"), body.get("private")
    if visibility is not None:
        if not isinstance(visibility, str) or visibility not in VISIBILITY:
            raise ValueInvalid(f"There is no visibility {str(visibility)[:40]!r}.", fix="Use public or private.")
        return VISIBILITY[visibility]
    if private is not None and not isinstance(private, bool):
        raise ValueInvalid("'private' must be true or false.", fix="Send a JSON boolean.")
    return private
