"""Named routes of the website, and the repository that an address names."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, register_converter, reverse
from django.views.decorators.http import require_POST

from hub.site.refusals import View, page
from hub.site.sign_in.sessions import send_kept_form
from registry.models import Repository


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """The repository that an address names, which need not exist."""

    type: str  # model, dataset or space
    full_name: str  # namespace/name


class RepositoryConverter:
    """`ns/name` for a model, `datasets/ns/name` and `spaces/ns/name` for the others: the same addresses as on the Hub.

    `reverse` and `{% url %}` take a Repository or a RepositoryAddress.
    """

    regex = "(?:(?:datasets|spaces)/)?[^/]+/[^/]+"

    def to_python(self, value: str) -> RepositoryAddress:
        prefix, _, rest = value.partition("/")
        if "/" in rest:
            return RepositoryAddress(prefix.removesuffix("s"), rest)
        return RepositoryAddress("model", value)

    def to_url(self, value: Repository | RepositoryAddress) -> str:
        return value.full_name if value.type == "model" else f"{value.type}s/{value.full_name}"


register_converter(RepositoryConverter, "repository")


def at(route: str, view: View, name: str, **options: Any) -> URLPattern:
    """Return a named route whose view may raise the domain's refusals."""
    return path(route, send_kept_form(page(view)), options, name=name)


def forms(
    page_name: str, route: str, *below: tuple[str, View, str], guard: Callable[[View], View] | None = None
) -> list[URLPattern]:
    """Named routes below `route` that each take one form, by POST alone; GET leads to the page that shows the form.

    A refused form is shown at its own address, so people reload, copy and share such addresses. The parameters of
    `route` are those of the page; `guard` decides who reaches any of it.
    """
    parameters = re.findall(r":(\w+)>", route)

    def or_page(view: View) -> View:
        take = require_POST(view)

        @wraps(view)
        def answered(request: HttpRequest, **given: Any) -> HttpResponse:
            if request.method in ("GET", "HEAD"):
                return HttpResponseRedirect(reverse(page_name, kwargs={name: given[name] for name in parameters}))
            return take(request, **given)

        return answered

    wrap = guard or (lambda view: view)
    return [at(f"{route}/{rest}".strip("/"), wrap(or_page(view)), name) for rest, view, name in below]
