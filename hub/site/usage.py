"""The usage of a person and of the organisations they administer: bytes by repository, the limit, large files."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from hub.site.visitor import caller, person
from registry.kernel import usage as counting
from registry.models import Membership, Namespace


@dataclass(frozen=True, slots=True)
class NamespaceUsage:
    """One owner on the page: what it holds of its limit, where it lies, and the percentage for the bar."""

    namespace: Namespace
    total: counting.Usage
    repositories: list[tuple[str, str, int, bool]]

    @property
    def percent(self) -> int:
        return min(100, 100 * self.total.bytes // self.total.limit) if self.total.limit else 0


@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    person(request)
    administered = [pk for pk, role in caller(request).roles.items() if role == Membership.Role.ADMIN]
    owners = [
        NamespaceUsage(namespace, counting.usage_of(namespace), counting.by_repository(namespace))
        for namespace in Namespace.objects.filter(pk__in=administered).order_by("kind", "name").reverse()
    ]
    return render(request, "site/usage.html", {"owners": owners})
