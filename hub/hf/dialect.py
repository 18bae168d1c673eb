"""The base class of every Hub route: the caller, rate limits, JSON whatever the Accept, and refusals."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from hub import limits
from hub.answers import answer, refuse, refuse_nul, without_body
from hub.errors import of_database
from hub.hf import bodies
from hub.hf.shapes import JSON
from hub.identity import wire_caller
from hub.read_only import refuse_write, viewer
from registry.kernel import errors, refusals
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.models import Base, Repository, Revision
from registry.repos import bases, lookup
from registry.repos.refs import Viewer


class Route(View):
    """One route of the Hub's protocol. Methods return a response or raise a RegistryError."""

    caller: Caller = NOBODY
    family = limits.Family.API
    base_methods: tuple[str, ...] = ()  # that read, and answer for a base and for a repository elsewhere too
    base_permission = Permission.BROWSE

    @classmethod
    def as_view(cls, **initial: Any) -> Callable[..., HttpResponseBase]:
        # No CSRF tokens here: in identity.wire_caller a session counts for safe methods only.
        return csrf_exempt(super().as_view(**initial))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.type = kwargs.pop("type", "model")
        taken: limits.Taken | None = None
        try:
            refuse_nul(request)
            self.caller, unknown = _caller(request)
            taken = limits.take(request, self.family, self.caller)
            if taken and taken.is_refused:
                raise errors.TooOften(*taken.words)
            if unknown:
                raise unknown
            refuse_write(request)
            response = super().dispatch(request, *args, **kwargs)
        except errors.RepositoryNotFound as missing:
            response = self._answer_elsewhere(request, missing, **kwargs)
        except errors.RegistryError as error:
            response = self.refuse(error)
        except OperationalError as problem:
            response = self.refuse(of_database(problem))
        for header, value in taken.headers().items() if taken else ():
            response[header] = value
        if response.status_code >= 300:
            bodies.drain(request)
        return without_body(response) if request.method == "HEAD" else response

    def _answer_elsewhere(
        self, request: HttpRequest, missing: errors.RepositoryNotFound, **where: str
    ) -> HttpResponseBase:
        """Answer for what an address names in place of a repository: a base, or a repository that is elsewhere."""
        full_name = f"{where.pop('ns', '')}/{where.pop('name', '')}".removeprefix("/")
        try:
            base = bases.find(full_name) if self.type == "model" and full_name else None
            if base is None:
                return self._answer_from_a_place(request, full_name, missing, **where)
            is_read = request.method in self.base_methods
            bases.require_base(self.caller, self.base_permission if is_read else Permission.PUSH, base, full_name)
            return self.answer_for_base(request, base, **where)
        except errors.RegistryError as error:
            return self.refuse(error)

    def _answer_from_a_place(
        self, request: HttpRequest, full_name: str, missing: errors.RepositoryNotFound, **where: str
    ) -> HttpResponseBase:
        for place in places:
            answered = place.answer(self, request, full_name, where)
            if answered is not None:
                return answered
        raise missing

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponseBase:
        """Answer for a base that the caller may have; only for the methods in `base_methods`."""
        raise refusals.base_read_only(base)

    @property
    def viewer(self) -> Viewer:
        """The caller, and whether they read below /verified."""
        return viewer(self.request, self.caller)

    def repository(self, ns: str, name: str, permission: Permission = Permission.BROWSE) -> Repository:
        """Return the repository of the address, if the caller has the permission. Raises RepositoryMoved.

        Raises RepositoryNotFound for the record of one at another hub, unless what was proven of it is asked for.
        """
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, permission, type=self.type)
        if repository.source:
            rev = str(self.kwargs.get("rev") or self.kwargs.get("tail", "")).partition("/")[0]
            if rev != "verified" and not self.viewer.prefers_verified(repository):
                raise refusals.repository_not_found(f"{ns}/{name}")
            for place in places:
                place.refresh(f"{ns}/{name}", self.type)
        return repository

    def refuse(self, error: errors.RegistryError) -> JsonResponse:
        """Return the refusal in the form for this caller."""
        return refuse(self.request, error, is_anonymous=self.caller.is_anonymous)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = answer({"error": f"{request.method} is not possible here."}, status=405)
        response["Allow"] = ", ".join(verb.upper() for verb in self.http_method_names if hasattr(self, verb))
        return response


def _caller(request: HttpRequest) -> tuple[Caller, errors.TokenInvalid | None]:
    """Return the caller, or the refusal of a bad token: it is raised after the request counted, against guessing."""
    try:
        return wire_caller(request), None
    except errors.TokenInvalid as refusal:
        return NOBODY, refusal


class Unserved(Route):
    """A Hub route that this hub knows and does not serve: 501."""

    sentence = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        bodies.drain(request)
        return self.refuse(errors.NotSupported(self.sentence, fix="See /docs/wire for what this hub speaks."))


class NoNamespace(Route):
    """An id without a namespace (gpt2): none can exist here; elsewhere it may mean one."""

    def get(self, request: HttpRequest, name: str, rest: str = "") -> HttpResponseBase:
        raise refusals.repository_not_found(name)

    post = put = delete = get


class Unknown(Route):
    """Any other path below /api/: 404."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        bodies.drain(request)
        return answer({"error": f"There is no route {request.path[:200]}."}, status=404)


class Elsewhere:
    """A place besides this hub where a repository may be, brought by a feature; its records here have a `source`."""

    def answer(
        self, route: Route, request: HttpRequest, full_name: str, where: Mapping[str, str]
    ) -> HttpResponseBase | None:
        """Answer a route for a repository that is not here; None where there is no such repository either.

        `where` is the rest of the address. Raises what the route may raise.
        """
        raise NotImplementedError

    def refresh(self, full_name: str, type: str) -> None:
        """Ask whether the record of a repository is still what is there."""
        raise NotImplementedError

    def last_changes(self, revision: Revision, paths: Iterable[str]) -> dict[str, JSON]:
        """Return path → the commit that changed it last there, of those that are known."""
        raise NotImplementedError


places: list[Elsewhere] = []
