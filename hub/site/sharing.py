"""Likes and follows from the website: two forms that work without a script."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from hub.site.visitor import caller, person
from registry import moves, people, social
from registry.policy import Permission


@require_POST
def like(request: HttpRequest, ns: str, name: str, type: str = "model") -> HttpResponse:
    """Like, or with `undo` no longer like, and show the adapter again."""
    by = caller(request)
    adapter = moves.find(f"{ns}/{name}", by, Permission.BROWSE, type=type)
    person(request)
    (social.unlike if request.POST.get("undo") else social.like)(adapter, by)
    return HttpResponseRedirect(adapter.path)


@require_POST
def follow(request: HttpRequest, ns: str) -> HttpResponse:
    """Follow, or with `undo` no longer follow, and show the person or organisation again."""
    person(request)
    namespace = people.namespace(ns)
    (social.unfollow if request.POST.get("undo") else social.follow)(namespace, caller(request))
    return HttpResponseRedirect(f"/{namespace.name}")
