"""The page of a person or an organisation: who it is, what is there that the visitor may see, and who follows it."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub.site import lists
from hub.site.lists import row_of, rows_of
from hub.site.organization.organizations import OFFERS
from hub.site.visitor import caller
from registry.kernel import policy
from registry.kernel.errors import NamespaceNotFound
from registry.kernel.policy import Caller
from registry.models import Membership, Namespace
from registry.people import accounts
from registry.people.organizations import invitations
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import Query
from registry.repos.lists.search import full_name
from registry.talk import social

PAGE = 50
Row = TypeVar("Row", bound=Model)
List = dict[str, Any]


@require_safe
def namespace(request: HttpRequest, ns: str) -> HttpResponse:
    """The adapters, or with `show` another list: datasets, likes, followers, following."""
    found = accounts.resolve_namespace(ns)
    by, is_person = caller(request), found.kind == Namespace.Kind.PERSON
    if is_person and not found.person.is_active and not by.is_staff:
        raise NamespaceNotFound(f"There is no person {ns!r}.")
    if found.name != ns:
        return HttpResponseRedirect(found.get_absolute_url(), status=307)
    lists = LISTS if is_person else {name: LISTS[name] for name in ("adapters", "datasets", "spaces", "followers")}
    show = request.GET.get("show", "adapters")
    show = show if show in lists else "adapters"
    memberships = Membership.objects.select_related("user", "organization__namespace")
    mine = {"user__namespace": found} if is_person else {"organization__namespace": found}
    shown = {
        "namespace": found,
        "is_person": is_person,
        "full_name": full_name(found),
        "memberships": memberships.filter(user__is_active=True, **mine).order_by("pk"),
        "show": show,
        "tabs": _tabs(found, by, show),
        "follows": social.follows(by, found),
        "is_self": by.user is not None and by.user.namespace_id == found.pk,
        "may_create": policy.may_create_in(by, found.pk),
        "is_locked": found.pk in by.locked,
        "may_administer": not is_person and policy.administers(by, found.organization),
        **_invitation(found, by),
        **lists[show](request, found, by),
    }
    return render(request, "site/namespace.html", shown)


def _invitation(found: Namespace, by: Caller) -> List:
    """Return the invitation of an organisation to the visitor, if there is one."""
    if by.user is None or found.kind == Namespace.Kind.PERSON:
        return {}
    row = invitations.list_received(by).filter(organization__namespace=found).first()
    return {"invitation": row, "offer": OFFERS[row.role]} if row else {}


def _tabs(found: Namespace, by: Caller, show: str) -> list[tuple[str, str, int, str, str]]:
    """(list, its name, its length, + if it is longer, its address); empty ones but the first and the open are out."""
    types = {"adapters": "model", "datasets": "dataset", "spaces": "space"}
    owned = {name: tallies.count_owned(by, found, type) for name, type in types.items()}
    counts = {name: (tally.rows, tally.is_capped) for name, tally in owned.items()}
    counts["followers"] = counted(social.followers(found))
    if found.kind == Namespace.Kind.PERSON:
        counts["following"] = counted(social.following(found.person))
        counts["likes"] = counted(social.liked(found.person, by))
    return [
        (name, name.capitalize(), count, "+" if is_longer else "", _address(found, name))
        for name, (count, is_longer) in counts.items()
        if count or name in ("adapters", show)
    ]


def counted(rows: QuerySet[Row]) -> tuple[int, bool]:
    """Return the length of a list, up to tallies.MOST, and whether it is longer: a page reads no more to be counted."""
    count = rows.order_by().values("pk")[: tallies.MOST + 1].count()
    return min(count, tallies.MOST), count > tallies.MOST


def _address(namespace: Namespace, tab: str) -> str:
    return namespace.get_absolute_url() + ("" if tab == "adapters" else f"?show={tab}")


def _repositories(type: str) -> Callable[[HttpRequest, Namespace, Caller], List]:
    def rows(request: HttpRequest, found: Namespace, by: Caller) -> List:
        query = Query(author=[found.name], type=type)
        page, problems = lists.at_cursor(request, lambda cursor: catalog.search(by, query, cursor=cursor))
        start = "?" if type == "model" else f"?show={type}s&"
        next = f"{start}cursor={page.next}" if page.next else ""
        return {"problems": problems, "rows": rows_of(page), "next": next}

    return rows


def _likes(request: HttpRequest, found: Namespace, by: Caller) -> List:
    rows, more = paged(request, social.liked(found.person, by))
    verdicts = catalog.listed_verdicts([row.repository for row in rows])
    shown = [row_of(row.repository, verdicts.get(row.repository.pk)) for row in rows]
    return {"rows": shown, "next": f"?show=likes&{more}" if more else ""}


def _followers(request: HttpRequest, found: Namespace, by: Caller) -> List:
    rows, more = paged(request, social.followers(found))
    return {
        "people": [(row.follower.username, row.follower.full_name, row.created_at) for row in rows],
        "next": f"?show=followers&{more}" if more else "",
    }


def _following(request: HttpRequest, found: Namespace, by: Caller) -> List:
    rows, more = paged(request, social.following(found.person))
    return {
        "people": [(row.namespace.name, full_name(row.namespace), row.created_at) for row in rows],
        "next": f"?show=following&{more}" if more else "",
    }


def paged(request: HttpRequest, rows: QuerySet[Row]) -> tuple[list[Row], str]:
    """One page of rows, newest first, and the address part that asks for those before them."""
    found, older = lists.older(request, rows, PAGE)
    return found, f"before={older}" if older else ""


LISTS: dict[str, Callable[[HttpRequest, Namespace, Caller], List]] = {
    "adapters": _repositories("model"),
    "datasets": _repositories("dataset"),
    "spaces": _repositories("space"),
    "followers": _followers,
    "following": _following,
    "likes": _likes,
}
