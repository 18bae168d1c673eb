"""The usage of a person and of an organisation: bytes by repository, the limits, and how space is freed."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from hub.site.forms import Form, status_of
from hub.site.measures import size
from hub.site.visitor import caller, person
from registry.kernel.limits import quotas
from registry.models import Membership, Namespace, Repository
from registry.people import accounts
from registry.people.organizations import organizations


@dataclass(frozen=True, slots=True)
class NamespaceUsage:
    """One owner on the page: what it holds of its limits, and in which repositories."""

    namespace: Namespace
    total: quotas.Usage
    repositories: list[Repository]

    @property
    def listed_all(self) -> bool:
        return len(self.repositories) == self.total.repositories

    @property
    def words(self) -> str:
        """The bar in words."""
        held = size(self.total.bytes)
        if not self.total.limit:
            return gettext("{size}, no limit").format(size=held)
        states = {
            0: "",
            quotas.NEAR: gettext(": nearly full"),
            quotas.FULL: gettext(": full, pushes with new files are refused"),
        }
        state = states[quotas.mark_of(self.total.bytes, self.total.limit)]
        sentence = gettext("{size} of {limit}, {percent} %")
        return sentence.format(size=held, limit=size(self.total.limit), percent=self.total.percent) + state

    @property
    def percent(self) -> int:
        """The filled part of the bar."""
        return min(100, self.total.percent)


@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    return usage_page(request, {})


def usage_page(request: HttpRequest, refused: Mapping[str, Form]) -> HttpResponse:
    """Show the person and each organisation that they administer; `refused` has a panel's form, by owner."""
    person(request)
    administered = [pk for pk, role in caller(request).roles.items() if role == Membership.Role.ADMIN]
    owners = Namespace.objects.filter(pk__in=administered).order_by("kind", "name").reverse()
    shown = {"owners": [_usage(namespace) for namespace in owners], "refused": refused}
    return render(request, "site/usage.html", shown, status=status_of(refused))


@require_safe
def organization_usage(request: HttpRequest, ns: str) -> HttpResponse:
    """Show one organisation to its administrators."""
    person(request)
    organization = organizations.require_administered(accounts.resolve_namespace(ns).name, caller(request))
    context = {"organization": organization, "owner": _usage(organization.namespace)}
    return render(request, "site/organization_usage.html", context)


def _usage(namespace: Namespace) -> NamespaceUsage:
    return NamespaceUsage(namespace, quotas.usage_of(namespace), quotas.by_repository(namespace))
