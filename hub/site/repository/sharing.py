"""Likes, watches and follows from the website, each leading back to its page; and who likes an adapter."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from hub.site.organization.namespace import paged
from hub.site.repository.repository_header import RepositoryHeader
from hub.site.repository.repository_pages import repository_page
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, page_before, person
from registry.kernel import policy
from registry.kernel.policy import Permission
from registry.models import Repository
from registry.people import accounts
from registry.repos import lookup
from registry.talk import social


@require_POST
def like(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    repository = _browsed(request, address)
    social.like(repository, caller(request))
    return redirect(page_before(request, repository.get_absolute_url()))


@require_POST
def unlike(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    repository = _browsed(request, address)
    social.unlike(repository, caller(request))
    return redirect(page_before(request, repository.get_absolute_url()))


def _browsed(request: HttpRequest, address: RepositoryAddress) -> Repository:
    repository = lookup.find_at_address(address.full_name, caller(request), Permission.BROWSE, type=address.type)
    person(request)
    return repository


@repository_page
def likers(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """The people who like it, the newest first."""
    policy.require(header.by, Permission.BROWSE, header.repository)
    rows, more = paged(request, social.likers(header.repository))
    likers = [(row.user.username, row.user.full_name, row.created_at) for row in rows]
    shown = {"header": header, "tab": "likers", "people": likers, "next": f"?{more}" if more else ""}
    return render(request, "site/likers.html", shown)


@require_POST
def follow(request: HttpRequest, ns: str) -> HttpResponse:
    person(request)
    namespace = accounts.get_namespace(ns)
    social.follow(namespace, caller(request))
    return redirect(page_before(request, namespace.get_absolute_url()))


@require_POST
def unfollow(request: HttpRequest, ns: str) -> HttpResponse:
    person(request)
    namespace = accounts.get_namespace(ns)
    social.unfollow(namespace, caller(request))
    return redirect(page_before(request, namespace.get_absolute_url()))


@require_POST
def follow_base(request: HttpRequest, name: str) -> HttpResponse:
    person(request)
    return redirect(page_before(request, reverse("base", args=[social.follow_base(name, caller(request))])))


@require_POST
def ask_for_base(request: HttpRequest, name: str) -> HttpResponse:
    person(request)
    return redirect(reverse("base", args=[social.ask_for_base(name, caller(request))]))


@require_POST
def unfollow_base(request: HttpRequest, name: str) -> HttpResponse:
    person(request)
    return redirect(page_before(request, reverse("base", args=[social.unfollow_base(name, caller(request))])))
