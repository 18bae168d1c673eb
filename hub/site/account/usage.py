"""The usage of a person and of an organisation: bytes by repository, the limits, and how space is freed."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from hub.site.forms import status_of
from hub.site.forms.retention import Retention
from hub.site.measures import size
from hub.site.visitor import caller, person
from registry.kernel.limits import quota_alerts
from registry.kernel.limits import usage as counting
from registry.models import Membership, Namespace, Repository, RetentionRule
from registry.people import accounts
from registry.people.organizations import organizations
from registry.publish.retention import retention


@dataclass(frozen=True, slots=True)
class NamespaceUsage:
    """One owner on the page: what it holds of its limits, and in which repositories."""

    namespace: Namespace
    total: counting.Usage
    repositories: list[Repository]
    rule: RetentionRule | None
    form: Retention

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
            quota_alerts.NEAR: gettext(": nearly full"),
            quota_alerts.FULL: gettext(": full, pushes with new files are refused"),
        }
        state = states[quota_alerts.mark_of(self.total.bytes, self.total.limit)]
        sentence = gettext("{size} of {limit}, {percent} %")
        return sentence.format(size=held, limit=size(self.total.limit), percent=self.total.percent) + state

    @property
    def percent(self) -> int:
        """The filled part of the bar."""
        return min(100, self.total.percent)


@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    return usage_page(request, {})


def usage_page(request: HttpRequest, tried: Mapping[int, Retention]) -> HttpResponse:
    """Show the person and each organisation that they administer; `tried` has the form that was refused, by owner."""
    person(request)
    administered = [pk for pk, role in caller(request).roles.items() if role == Membership.Role.ADMIN]
    owners = Namespace.objects.filter(pk__in=administered).order_by("kind", "name").reverse()
    shown = [_usage(namespace, tried.get(namespace.pk)) for namespace in owners]
    refused = {str(owner): form for owner, form in tried.items()}
    return render(request, "site/usage.html", {"owners": shown}, status=status_of(refused))


@require_safe
def organization_usage(request: HttpRequest, ns: str) -> HttpResponse:
    """Show one organisation to its administrators."""
    person(request)
    organization = organizations.require_administered(accounts.resolve_namespace(ns).name, caller(request))
    context = {"organization": organization, "owner": _usage(organization.namespace)}
    return render(request, "site/organization_usage.html", context)


def _usage(namespace: Namespace, tried: Retention | None = None) -> NamespaceUsage:
    rule = retention.own_rule(namespace)
    initial = {"keep_last": rule.keep_last, "keep_days": rule.keep_days} if rule else None
    form = tried or Retention(initial=initial, auto_id=f"%s-{namespace.pk}")
    return NamespaceUsage(namespace, counting.usage_of(namespace), counting.by_repository(namespace), rule, form)
