"""Named routes of the website."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, register_converter, reverse

from hub.site.converters import RepositoryConverter
from hub.site.refusals import page

View = Callable[..., HttpResponse]

register_converter(RepositoryConverter, "repository")


def at(route: str, view: View, name: str, **options: Any) -> URLPattern:
    """Return a named route whose view may raise the domain's refusals."""
    return path(route, page(view), options, name=name)


def forms(
    page_name: str, route: str, *below: tuple[str, View, str], guard: Callable[[View], View] | None = None
) -> list[URLPattern]:
    """Named routes below `route` that each take one form by POST; GET leads to the page that shows the form.

    A refused form is shown at its own address, so people reload, copy and share such addresses. The parameters of
    `route` are those of the page; `guard` decides who reaches any of it.
    """
    parameters = re.findall(r":(\w+)>", route)

    def or_page(view: View) -> View:
        @wraps(view)
        def answered(request: HttpRequest, **given: Any) -> HttpResponse:
            if request.method in ("GET", "HEAD"):
                return HttpResponseRedirect(reverse(page_name, kwargs={name: given[name] for name in parameters}))
            return view(request, **given)

        return answered

    wrap = guard or (lambda view: view)
    return [at(f"{route}/{rest}".strip("/"), wrap(or_page(view)), name) for rest, view, name in below]
