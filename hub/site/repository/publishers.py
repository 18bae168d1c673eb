"""Trusted publishers: those of one repository, and those of repositories that do not exist yet."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from hub.site.converters import RepositoryAddress
from hub.site.forms import Form, status_of
from hub.site.forms.publishers import FORMS, PublishersOnly
from hub.site.repository.finding_headers import header_of
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.visitor import caller, person
from registry.kernel.policy import Permission
from registry.people.tokens import publishers


@require_safe
def listed(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    return _page(request, header_of(request, address, Permission.ARCHIVE))


@require_POST
def trust(request: HttpRequest, address: RepositoryAddress, system: str) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    form = FORMS[system](request.POST)
    if form.is_valid():
        with form:
            publishers.trust(header.repository, form.issuer(), form.claims(), caller(request))
            return redirect("publishers", header.repository)
    return _page(request, header, **{system: form})


@require_POST
def set_only(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    """Take pushes from trusted publishers only, or from everybody who may write."""
    header = header_of(request, address, Permission.CONFIGURE)
    form = PublishersOnly(request.POST)
    if form.is_valid():
        with form:
            is_only = form.cleaned_data["pushes"] == "publishers"
            publishers.set_publishers_only(header.repository, is_only, caller(request))
            return redirect("publishers", header.repository)
    return _page(request, header, only=form)


@require_POST
def remove(request: HttpRequest, address: RepositoryAddress, number: int) -> HttpResponse:
    header = header_of(request, address, Permission.CONFIGURE)
    publishers.remove(header.repository, number, caller(request))
    return redirect("publishers", header.repository)


def _page(request: HttpRequest, header: RepositoryHeader, **tried: Form) -> HttpResponse:
    """Show the publishers with the forms; `tried` is the one that was refused."""
    repository = header.repository
    pushes = "publishers" if repository.publishers_only else "everybody"
    context = {
        "header": header,
        "tab": "settings",
        "publishers": publishers.list_publishers(repository, caller(request)),
        "systems": [tried.get(slug) or form() for slug, form in FORMS.items()],
        "tried": next(iter(tried), ""),
        "only": tried.get("only") or PublishersOnly(initial={"pushes": pushes}),
    }
    return render(request, "site/publishers.html", context, status=status_of(tried))


# --- of repositories that do not exist yet ---------------------------------------------------------------------------
@require_safe
def pending(request: HttpRequest) -> HttpResponse:
    return _pending_page(request)


@require_POST
def trust_pending(request: HttpRequest, system: str) -> HttpResponse:
    person(request)
    by = caller(request)
    form = FORMS[system](request.POST, owners=publishers.administered_namespaces(by))
    if form.is_valid():
        with form:
            given = form.cleaned_data
            publishers.trust_pending(given["full_name"], form.issuer(), form.claims(), by, type=given["type"])
            return redirect("pending-publishers")
    return _pending_page(request, **{system: form})


@require_POST
def remove_pending(request: HttpRequest, number: int) -> HttpResponse:
    person(request)
    publishers.remove_pending(number, caller(request))
    return redirect("pending-publishers")


def _pending_page(request: HttpRequest, **tried: Form) -> HttpResponse:
    person(request)
    by = caller(request)
    owners = publishers.administered_namespaces(by)
    context = {
        "publishers": publishers.list_pending(by),
        "systems": [tried.get(slug) or form(owners=owners) for slug, form in FORMS.items()],
        "tried": next(iter(tried), ""),
    }
    return render(request, "site/pending_publishers.html", context, status=status_of(tried))
