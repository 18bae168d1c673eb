"""The page of a person or an organisation: who it is, and what is there that the visitor may see."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.text import capfirst
from django.views.decorators.http import require_safe

from hub.site import lists, panels
from hub.site.lists import rows_of
from hub.site.organization.organizations import OFFERS
from hub.site.panels import NamespaceList
from hub.site.visitor import caller
from hub.site.words import in_words
from registry.kernel import policy
from registry.kernel.errors import NamespaceNotFound
from registry.kernel.policy import Caller
from registry.models import Membership, Namespace
from registry.people import accounts
from registry.people.organizations import invitations
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import Query
from registry.repos.lists.search import full_name

Row = TypeVar("Row", bound=Model)


@require_safe
def namespace(request: HttpRequest, ns: str) -> HttpResponse:
    """The adapters, or with `show` another list: datasets, spaces, and those of features."""
    found = accounts.resolve_namespace(ns)
    by, is_person = caller(request), found.kind == Namespace.Kind.PERSON
    if is_person and not found.person.is_active and not by.is_staff:
        raise NamespaceNotFound(f"There is no person {ns!r}.")
    if found.name != ns:
        return HttpResponseRedirect(found.get_absolute_url(), status=307)
    offered = [each for each in (*REPOSITORIES, *panels.lists()) if is_person or not each.of_people_alone]
    chosen = next((each for each in offered if each.name == request.GET.get("show")), offered[0])
    memberships = Membership.objects.select_related("user", "organization__namespace")
    mine = {"user__namespace": found} if is_person else {"organization__namespace": found}
    shown = {
        "namespace": found,
        "is_person": is_person,
        "full_name": full_name(found),
        "memberships": memberships.filter(user__is_active=True, **mine).order_by("pk"),
        "show": chosen.name,
        "list": chosen,
        "tabs": _tabs(offered, found, by, chosen.name),
        "is_self": by.user is not None and by.user.namespace_id == found.pk,
        "may_create": policy.may_create_in(by, found.pk),
        "is_locked": found.pk in by.locked,
        "may_administer": not is_person and policy.administers(by, found.organization),
        **_invitation(found, by),
        **chosen.rows(request, found, by),
    }
    return render(request, "site/namespace.html", shown)


def _invitation(found: Namespace, by: Caller) -> Mapping[str, object]:
    """Return the invitation of an organisation to the visitor, if there is one."""
    if by.user is None or found.kind == Namespace.Kind.PERSON:
        return {}
    row = invitations.list_received(by).filter(organization__namespace=found).first()
    return {"invitation": row, "offer": OFFERS[row.role]} if row else {}


def _tabs(
    offered: Iterable[NamespaceList], found: Namespace, by: Caller, show: str
) -> list[tuple[str, str, int, str, str]]:
    """(list, its name, its length, + if it is longer, its address); empty ones but the first and the open are out."""
    counts = {each.name: each.count(found, by) for each in offered}
    return [
        (name, capfirst(in_words(name)), count, "+" if is_longer else "", _address(found, name))
        for name, (count, is_longer) in counts.items()
        if count or name in ("adapters", show)
    ]


def counted(rows: QuerySet[Row]) -> tuple[int, bool]:
    """Return the length of a list, up to tallies.MOST, and whether it is longer: a page reads no more to be counted."""
    count = rows.order_by().values("pk")[: tallies.MOST + 1].count()
    return min(count, tallies.MOST), count > tallies.MOST


def _address(namespace: Namespace, tab: str) -> str:
    return namespace.get_absolute_url() + ("" if tab == "adapters" else f"?show={tab}")


def _repositories(type: str) -> NamespaceList:
    name = "adapters" if type == "model" else f"{type}s"

    def count(found: Namespace, by: Caller) -> tuple[int, bool]:
        tally = tallies.count_owned(by, found, type)
        return tally.rows, tally.is_capped

    def rows(request: HttpRequest, found: Namespace, by: Caller) -> Mapping[str, object]:
        query = Query(author=[found.name], type=type)
        page, problems = lists.at_cursor(request, lambda cursor: catalog.search(by, query, cursor=cursor))
        start = "?" if type == "model" else f"?show={name}&"
        next = f"{start}cursor={page.next}" if page.next else ""
        return {"problems": problems, "rows": rows_of(page), "next": next}

    return NamespaceList(name, count, rows, "site/parts/repository_rows.html")


REPOSITORIES = [_repositories(type) for type in ("model", "dataset", "space")]
