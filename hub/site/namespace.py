"""The page of a person or an organisation: who it is, and the adapters there that the visitor may see."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub.site.lines import lines
from hub.site.visitor import caller
from registry import catalog, collections, people, social
from registry.catalog import Query
from registry.models import Membership


@require_safe
def namespace(request: HttpRequest, ns: str) -> HttpResponse:
    found = people.namespace(ns)
    if found.name != ns:
        return HttpResponseRedirect(f"/{found.name}")
    by, query = caller(request), Query(author=[found.name])
    page = catalog.search(by, query, cursor=request.GET.get("cursor", ""))
    is_person = found.kind == "person"
    memberships = Membership.objects.select_related("user", "organization__namespace")
    mine = {"user__namespace": found} if is_person else {"organization__namespace": found}
    shown = {
        "namespace": found,
        "is_person": is_person,
        "full_name": found.person.full_name if is_person else found.organization.full_name,
        "memberships": memberships.filter(**mine).order_by("pk"),
        "count": catalog.count(by, query),
        "lines": lines(page),
        "next": f"?cursor={page.next}" if page.next else "",
        "follows": social.follows(by, found),
        "followers": social.followers(found).count(),
        "has_collections": collections.listed(by, owners=[found.name]).exists(),
        "is_self": by.user is not None and by.user.namespace_id == found.pk,
    }
    return render(request, "site/namespace.html", shown)
