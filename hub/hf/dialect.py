"""The base class of every Hub route: the caller, rate limits, JSON whatever the Accept, and refusals."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from hub import limits
from hub.answers import answer, refuse, refuse_nul
from hub.errors import of_database
from hub.hf import bodies
from hub.hf.hops import came_through
from hub.identity import wire_caller
from hub.limits import Family, Taken
from hub.moved import mounted_below, raw_path
from hub.read_only import refuse_write
from hub.verified_view import SAFE, viewer
from registry.kernel import base_policy, refusals
from registry.kernel.errors import (
    NotSupported,
    RegistryError,
    RepositoryNotFound,
    TokenInvalid,
    TooOften,
    UpstreamGated,
)
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.models import Base, Repository, UpstreamRepository
from registry.repos import lookup, served_bases
from registry.repos.viewers import Viewer
from registry.upstream import reading, records, restrictions, short_names, staleness


class Route(View):
    """One route of the Hub's protocol. Methods return a response or raise a RegistryError."""

    caller: Caller = NOBODY
    family = Family.API
    base_methods: tuple[str, ...] = ()  # that read, and answer for a base and for a repository of another hub too
    base_permission = Permission.BROWSE

    @classmethod
    def as_view(cls, **initial: Any) -> Callable[..., HttpResponseBase]:
        # No CSRF tokens here: in identity.wire_caller a session counts for safe methods only.
        return csrf_exempt(super().as_view(**initial))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.type = kwargs.pop("type", "model")
        taken: Taken | None = None
        try:
            refuse_nul(request)
            self.caller, unknown = _caller(request)
            taken = limits.take(request, self.family, self.caller)
            if taken and taken.is_refused:
                raise TooOften(*taken.words)
            if unknown:
                raise unknown
            refuse_write(request)
            response = super().dispatch(request, *args, **kwargs)
        except RepositoryNotFound as missing:
            response = self._answer_elsewhere(request, missing, **kwargs)
        except RegistryError as error:
            response = self.refuse(error)
        except OperationalError as problem:
            response = self.refuse(of_database(problem))
        for header, value in taken.headers().items() if taken else ():
            response[header] = value
        if response.status_code >= 300:
            bodies.drain(request)
        return _without_body(response) if request.method == "HEAD" else response

    def _answer_elsewhere(self, request: HttpRequest, missing: RepositoryNotFound, **where: str) -> HttpResponseBase:
        """Answer for what an address names in place of a repository: a base, or a repository of another hub."""
        full_name = f"{where.pop('ns', '')}/{where.pop('name', '')}".removeprefix("/")
        try:
            base = served_bases.find(full_name) if self.type == "model" and full_name else None
            if base is None:
                return self._answer_from_upstream(request, full_name, missing, **where)
            is_read = request.method in self.base_methods
            base_policy.require_base(self.caller, self.base_permission if is_read else Permission.PUSH, base, full_name)
            return self.answer_for_base(request, base, **where)
        except RegistryError as error:
            return self.refuse(error)

    def _answer_from_upstream(
        self, request: HttpRequest, full_name: str, missing: RepositoryNotFound, **where: str
    ) -> HttpResponseBase:
        with came_through(request), staleness.observed() as ages:
            row = reading.find(full_name, self.type)
            if row is None:
                raise missing
            try:
                response = self._read_upstream(request, full_name, row, **where)
            except UpstreamGated:  # perhaps since just now: then whether the caller may read it is another question
                response = self._read_upstream(request, full_name, row, **where)
        response["X-Dovetail-Source"] = "upstream"
        if ages:
            response["X-Dovetail-Stale"] = str(round(max(ages).total_seconds()))
        return response

    def _read_upstream(
        self, request: HttpRequest, full_name: str, row: UpstreamRepository, **where: str
    ) -> HttpResponseBase:
        records.require_not_held(row, asked=full_name)  # first: what is held is not said to be read-only either
        reading.renew_restriction(row)
        is_read = request.method in self.base_methods
        restrictions.require(self.caller, self.base_permission if is_read else Permission.PUSH, row, asked=full_name)
        try:
            return self.answer_for_upstream(request, row, **where)
        except UpstreamGated:
            raise
        except RegistryError as error:
            return self.refuse(error)

    def answer_for_base(self, request: HttpRequest, base: Base, **where: str) -> HttpResponseBase:
        """Answer for a base that the caller may have; only for the methods in `base_methods`."""
        raise refusals.base_read_only(base)

    def answer_for_upstream(self, request: HttpRequest, row: UpstreamRepository, **where: str) -> HttpResponseBase:
        """Answer for a repository of another hub that the caller may read; only for the methods in `base_methods`."""
        raise NotSupported(f"{row.full_name} is read from {row.origin}: this of it is there.")

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
            records.keep_current(f"{ns}/{name}", self.type)
        return repository

    def refuse(self, error: RegistryError) -> JsonResponse:
        """Return the refusal in the form for this caller."""
        return refuse(self.request, error, is_anonymous=self.caller.is_anonymous)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = answer({"error": f"{request.method} is not possible here."}, status=405)
        response["Allow"] = ", ".join(verb.upper() for verb in self.http_method_names if hasattr(self, verb))
        return response


def _caller(request: HttpRequest) -> tuple[Caller, TokenInvalid | None]:
    """Return the caller, or the refusal of a bad token: it is raised after the request counted, against guessing."""
    try:
        return wire_caller(request), None
    except TokenInvalid as refusal:
        return NOBODY, refusal


class Unserved(Route):
    """A Hub route that this hub knows and does not serve: 501."""

    sentence = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        bodies.drain(request)
        return self.refuse(NotSupported(self.sentence, fix="See /docs/wire for what this hub speaks."))


class NoNamespace(Route):
    """An id without a namespace (gpt2): none can exist here, and another hub may say which id it means."""

    def get(self, request: HttpRequest, name: str, rest: str = "") -> HttpResponseBase:
        raise refusals.repository_not_found(name)

    post = put = delete = get

    def _answer_from_upstream(
        self, request: HttpRequest, full_name: str, missing: RepositoryNotFound, **where: str
    ) -> HttpResponseBase:
        if request.method not in SAFE:
            raise missing
        type = "dataset" if request.path_info.startswith("/api/datasets/") else "model"
        with came_through(request):
            stated = short_names.canonical(full_name, type)
        if stated is None:
            raise missing
        segments = raw_path(request).split("/")
        segments[[unquote(segment) for segment in segments].index(full_name)] = stated
        query = request.META.get("QUERY_STRING", "")
        response = HttpResponse(status=307)
        response["Location"] = mounted_below() + "/".join(segments) + (f"?{query}" if query else "")
        response["X-Dovetail-Source"] = "upstream"
        return response


class Unknown(Route):
    """Any other path below /api/: 404."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        bodies.drain(request)
        return answer({"error": f"There is no route {request.path[:200]}."}, status=404)


def _without_body(response: HttpResponseBase) -> HttpResponseBase:
    # Servers send what they are given, and a body after HEAD would be read as the next answer.
    if isinstance(response, HttpResponse) and not response.streaming:
        length = response.headers.get("Content-Length", str(len(response.content)))
        response.content = b""
        response["Content-Length"] = length
    return response
