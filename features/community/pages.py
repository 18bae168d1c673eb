"""Likes and follows on the website: buttons of the pages of repositories, people and bases, and their lists."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from features.community import verbs
from features.community.models import Like
from hub.site import routing
from hub.site.lists import older, row_of
from hub.site.organization.namespace import counted
from hub.site.panels import NamespaceList, Pages, Panel
from hub.site.refusals import View
from hub.site.repository.repository_header import RepositoryHeader, repository_page
from hub.site.routing import RepositoryAddress
from hub.site.visitor import caller, page_before, person
from registry.kernel import policy
from registry.kernel.policy import Caller, Permission
from registry.models import Follow, Namespace, Repository
from registry.people import accounts
from registry.repos import bases, lookup
from registry.repos.lists import catalog, tallies
from registry.repos.lists.search import full_name

PAGE = 50
Row = TypeVar("Row", bound=Model)
Shown = Mapping[str, object]


# --- forms -----------------------------------------------------------------------------------------------------------
def _of_repository(change: Callable[[Repository, Caller], object]) -> View:
    """Return the view of a form about a repository that the visitor sees, which leads back to the page before."""

    def view(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
        repository = lookup.find_at_address(address.full_name, caller(request), Permission.BROWSE, type=address.type)
        person(request)
        change(repository, caller(request))
        return redirect(page_before(request, repository.get_absolute_url()))

    return view


def _of_namespace(change: Callable[[Namespace, Caller], object]) -> View:
    """Return the view of a form about a person or an organisation."""

    def view(request: HttpRequest, ns: str) -> HttpResponse:
        person(request)
        namespace = accounts.get_namespace(ns)
        change(namespace, caller(request))
        return redirect(page_before(request, namespace.get_absolute_url()))

    return view


def _of_base(change: Callable[[str, Caller], str]) -> View:
    """Return the view of a form about a base by any of its names."""

    def view(request: HttpRequest, name: str) -> HttpResponse:
        person(request)
        return redirect(page_before(request, reverse("base", args=[change(name, caller(request))])))

    return view


# --- lists -----------------------------------------------------------------------------------------------------------
@repository_page
def likers(request: HttpRequest, header: RepositoryHeader) -> HttpResponse:
    """The people who like it, the newest first."""
    policy.require(header.by, Permission.BROWSE, header.repository)
    rows, before = older(request, verbs.likers(header.repository), PAGE)
    likers = [(row.user.username, row.user.full_name, row.created_at) for row in rows]
    shown = {
        "header": header,
        "tab": "overview",
        "subpage": "likers",
        "rows": likers,
        "next": f"?before={before}" if before else "",
    }
    return render(request, "community/likers.html", shown)


def _list(
    name: str,
    rows: Callable[[Namespace, Caller], QuerySet[Row]],
    shown: Callable[[list[Row]], list[Any]],
    template: str,
    **who: bool,
) -> NamespaceList:
    """Return a list of the page of a person or an organisation; `shown` makes of its rows what the template shows."""

    def page(request: HttpRequest, found: Namespace, by: Caller) -> Shown:
        some, before = older(request, rows(found, by), PAGE)
        return {"rows": shown(some), "next": f"?show={name}&before={before}" if before else ""}

    return NamespaceList(name, lambda found, by: counted(rows(found, by)), page, template, **who)


def _followers(rows: list[Follow]) -> list[Any]:
    return [(row.follower.username, row.follower.full_name, row.created_at) for row in rows]


def _following(rows: list[Follow]) -> list[Any]:
    return [(row.namespace.name, full_name(row.namespace), row.created_at) for row in rows]


def _liked(rows: list[Like]) -> list[Any]:
    verdicts = catalog.listed_verdicts([row.repository for row in rows])
    return [row_of(row.repository, verdicts.get(row.repository.pk)) for row in rows]


PEOPLE, REPOSITORIES = "community/people.html", "site/parts/repository_rows.html"
LISTS = (
    _list("followers", lambda found, by: verbs.followers(found), _followers, PEOPLE),
    _list("following", lambda found, by: verbs.following(found.person), _following, PEOPLE, of_people_alone=True),
    _list("likes", lambda found, by: verbs.liked(found.person, by), _liked, REPOSITORIES, of_people_alone=True),
)


# --- panels ----------------------------------------------------------------------------------------------------------
def _heart(page: Mapping[str, Any]) -> Shown | None:
    """Return whether the visitor likes the repository, for the pages that have a heart."""
    header = page["header"]
    return {"is_liked": verbs.likes(header.by, header.repository)} if page.get("tab") == "overview" else None


def _followed(page: Mapping[str, Any]) -> Shown | None:
    """Return whether the visitor follows the person or the organisation; None for oneself."""
    follows = verbs.follows(page["request"].caller, page["namespace"])
    return None if page["is_self"] else _button(follows, page["namespace"].name, "follow", "unfollow")


def _followed_base(page: Mapping[str, Any]) -> Shown:
    follows = verbs.follows_base(page["request"].caller, page["name"])
    return _button(follows, page["name"], "follow-base", "unfollow-base")


def _button(follows: bool, name: str, start: str, stop: str) -> Shown:
    return {"follows": follows, "address": reverse(stop if follows else start, args=[name])}


def _asked(page: Mapping[str, Any]) -> Shown | None:
    """Return who asks for a base; None where its weights are here.

    How many do is for those who see an adapter that names it: else it would tell of private ones.
    """
    if page["base"] and page["base"].has_weights:
        return None
    by, asking = page["request"].caller, bases.asking_for(page["name"])
    asks, is_administrator = bool(by.user and by.user.username in asking), policy.is_hub_admin(by)
    knows = bool(page["count"] or page["base"] or is_administrator)
    return {"asking": asking, "asks": asks, "knows": knows, "is_administrator": is_administrator}


def _awaited(page: Mapping[str, Any]) -> Shown | None:
    """Return whether the visitor asks for the base that an adapter waits for."""
    by, name = page["request"].caller, page["header"].repository.base
    return _asking(by, name) if name else None


def _asking(by: policy.Caller, name: str) -> Shown:
    return {"name": name, "asks": bool(by.user and by.user.username in bases.asking_for(name))}


def _sought(page: Mapping[str, Any]) -> Shown | None:
    """Return the base that was looked for by its whole name, as one may ask for it; None where it is here."""
    by, name = page["request"].caller, page["query"]
    is_here = page["others"] and any(base.id == name for base in page["others"].bases)
    if is_here or not bases.is_id(name):
        return None
    return _asking(by, name)


def _all_asked(page: Mapping[str, Any]) -> Shown | None:
    """Return the bases that people ask for, with those who do and the adapters that wait; for administrators."""
    by = page["request"].caller
    if not policy.is_hub_admin(by) or not (asked := bases.asked_for()):
        return None
    waiting = tallies.count_by_base(by, asked)
    return {"asked": [(base, people, waiting.get(base, 0)) for base, people in asked.items()]}


REPOSITORY = "<repository:address>"
PAGES = Pages(
    routes=[
        *routing.forms(
            "repository",
            REPOSITORY,
            ("like", _of_repository(verbs.like), "like"),
            ("unlike", _of_repository(verbs.unlike), "unlike"),
        ),
        routing.at(f"{REPOSITORY}/likers", likers, "likers"),
        *routing.forms(
            "namespace",
            "settings/following/<str:ns>",
            ("", _of_namespace(verbs.follow), "follow"),
            ("stop", _of_namespace(verbs.unfollow), "unfollow"),
        ),
        *routing.forms(  # a name has two parts at most, so none ends in this
            "base",
            "bases/<path:name>",
            ("-/follow", _of_base(verbs.follow_base), "follow-base"),
            ("-/unfollow", _of_base(verbs.unfollow_base), "unfollow-base"),
            ("-/ask", _of_base(verbs.ask_for_base), "ask-for-base"),
        ),
    ],
    panels=(
        Panel("repository-like", "community/like.html", _heart),
        Panel("facts-people", "community/likes.html"),
        Panel("namespace-buttons", "community/follow.html", _followed),
        Panel("base-follow", "community/follow.html", _followed_base),
        Panel("base-facts", "community/ask.html", _asked),
        Panel("awaited-base", "community/ask_button.html", _awaited),
        Panel("nothing-found", "community/sought.html", _sought),
        Panel("bases-asked", "community/asked.html", _all_asked),
    ),
    lists=LISTS,
)
