"""Refusals as pages: a catalogue error, a missing page, a form without its secret."""

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve, reverse

from hub.addresses import at_new_name
from hub.errors import HttpForm, http_form, of_database
from hub.read_only import refuse_write
from hub.site.visitor import page_before
from registry.kernel.errors import (
    FileNotFound,
    NamespaceNotFound,
    RegistryError,
    RepositoryMoved,
    RepositoryNotFound,
    RevisionNotFound,
    SignInRequired,
    ValueInvalid,
)

View = Callable[..., HttpResponse]


def page(view: View) -> View:
    """Wrap a view so that the heart's refusals become pages."""

    @wraps(view)
    def answered(request: HttpRequest, **route: Any) -> HttpResponse:
        try:
            _refuse_nul(request)
            refuse_write(request)
            return view(request, **route)
        except RegistryError as error:
            return refusal(request, error)
        except OperationalError as problem:
            return _fault(problem, request)

    return answered


def broken(request: HttpRequest) -> HttpResponse:
    """The page for an error that nothing caught, also one on the way to a view; the handler named in hub.urls."""
    return _fault(sys.exc_info()[1], request)


def _page_of(request: HttpRequest) -> str:
    """Return the path of the page that a stranger reads: of a form, the one that holds it."""
    here = request.get_full_path()
    return here if request.method in {"GET", "HEAD"} else page_before(request, here)


def _fault(problem: BaseException | None, request: HttpRequest) -> HttpResponse:
    """Return the page, which gets the id of the request alone: its person would be looked up in the database."""
    form = http_form(of_database(problem)) if isinstance(problem, OperationalError) else HttpForm(500)
    text = render_to_string("500.html", {"request_id": getattr(request, "request_id", "")})
    return form.say_when(HttpResponse(text, status=form.status))


def _refuse_nul(request: HttpRequest) -> None:
    """PostgreSQL holds no NUL in a text; nobody types one, so it is refused before any view sees it."""
    if "\0" in request.path_info:
        raise RepositoryNotFound("Names do not contain NUL characters.")
    fields = (value for sent in (request.GET, request.POST) for _, values in sent.lists() for value in values)
    if any("\0" in value for value in fields):
        raise ValueInvalid("The form contains a NUL character.", fix="Remove it and try again.")


def refusal(request: HttpRequest, error: RegistryError) -> HttpResponse:
    """The page for a refusal: missing and hidden things look the same, strangers are asked to sign in first."""
    if isinstance(error, RepositoryMoved):
        return HttpResponse(status=http_form(error).status, headers={"Location": at_new_name(request, error)})
    if isinstance(error, SignInRequired):
        return HttpResponseRedirect(f"{reverse('login')}?{urlencode({'next': _page_of(request)})}")
    form = http_form(error)
    if form.status == 404:
        return not_found(request, error)
    template = f"{form.status}.html" if form.status in {403, 410} else "400.html"
    return form.say_when(render(request, template, {"error": error}, status=form.status))


def no_route(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The page for an address that no route takes; one that only has a slash too many leads to the page without it.

    Django's own APPEND_SLASH is the other way round, and would turn a client's POST into a GET. The handler named in
    hub.urls.
    """
    address = f"/{request.path.strip('/')}"
    # A view that raised Http404 has hidden what is there, such as the administration.
    if isinstance(exception, Resolver404) and request.method in {"GET", "HEAD"} and address != request.path:
        with suppress(Resolver404):
            resolve(address)
            query = request.META["QUERY_STRING"]
            return HttpResponsePermanentRedirect(f"{address}?{query}" if query else address)
    return not_found(request)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """The page for what does not exist, and for what this visitor may not know of."""
    error = exception if isinstance(exception, RegistryError) and not _hides(exception) else None
    route = request.resolver_match
    # Both are raised once the repository was found, by this visitor: the page may lead back to it.
    is_within = isinstance(error, RevisionNotFound | FileNotFound)
    address = route.kwargs.get("address") if route and is_within else None
    return render(request, "404.html", {"error": error, "address": address}, status=404)


def _hides(error: RegistryError) -> bool:
    """Return whether naming the missing thing would reveal that it exists: a private repository's page must not."""
    return error.code == "adapter-not-found" or isinstance(error, NamespaceNotFound)


def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The page for a form that came without its secret, mostly because it was open for too long."""
    return render(request, "403.html", {"stale_form": True}, status=403)
