"""The pages of storage: usage, the bin of deleted repositories, and the limits of an owner."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.site.forms import Confirm, Form, Refusals, name_field, status_of
from hub.site.measures import size
from hub.site.visitor import caller, person
from hub.site.words import DELETE_LABELS
from registry.kernel import quotas
from registry.kernel.errors import RegistryError
from registry.models import Membership, Namespace, Repository
from registry.people import accounts
from registry.people.organizations import organizations
from registry.publish import retirement


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
def organization_usage(request: HttpRequest, ns: str) -> HttpResponse:
    """Show one organisation to its administrators."""
    person(request)
    organization = organizations.require_administered(accounts.resolve_namespace(ns).name, caller(request))
    context = {"organization": organization, "owner": _usage(organization.namespace)}
    return render(request, "site/organization_usage.html", context)


def _usage(namespace: Namespace) -> NamespaceUsage:
    return NamespaceUsage(namespace, quotas.usage_of(namespace), quotas.by_repository(namespace))


class Restore(Form):
    name = name_field(_("Restore it as"), _("Its former name, or another one if that is taken."))
    fields_of: ClassVar[Refusals] = {RegistryError: "name"}


MOST_BINNED = 200  # repositories on the page
PURGE_HELP = _("Permanent: it cannot be restored. Type `{name}` to confirm.")


@require_safe
def own_usage(request: HttpRequest) -> HttpResponse:
    return storage_page(request, {})


@require_safe
def deleted(request: HttpRequest) -> HttpResponse:
    """Lead to the repositories that somebody deleted, to be restored or deleted for good."""
    return redirect(f"{reverse('usage')}#deleted")


def restore(request: HttpRequest, number: int) -> HttpResponse:
    person(request)
    form = Restore(request.POST, auto_id=f"%s-{number}")
    if form.is_valid():
        with form:
            return redirect(retirement.restore(number, caller(request), form.cleaned_data["name"]))
    return storage_page(request, {}, number, restore=form)


def purge(request: HttpRequest, number: int) -> HttpResponse:
    row = retirement.find(number, caller(request))
    form = _confirm_purge(row, request.POST)
    if form.is_valid():
        with form:
            retirement.purge(number, caller(request))
            return redirect("bin")
    return storage_page(request, {}, number, purge=form)


def _confirm_purge(row: Repository, data: object = None) -> Confirm:
    help_text = PURGE_HELP.format(name=row.full_name)
    return Confirm(
        data, label=str(DELETE_LABELS[row.type]), name=row.full_name, help_text=help_text, auto_id=f"%s-{row.pk}"
    )


def storage_page(request: HttpRequest, refused: Mapping[str, Form], number: int = 0, **tried: Form) -> HttpResponse:
    """Show what the person and each organisation that they administer hold, and what they deleted.

    `refused` has a panel's form, by owner; `tried` the form that was refused of the deleted repository `number`.
    """
    person(request)
    administered = [pk for pk, role in caller(request).roles.items() if role == Membership.Role.ADMIN]
    owners = Namespace.objects.filter(pk__in=administered).order_by("kind", "name").reverse()
    days = retirement.days()
    binned = []
    for row in retirement.listed(caller(request))[:MOST_BINNED]:
        forms = {"restore": Restore(initial={"name": row.name}, auto_id=f"%s-{row.pk}"), "purge": _confirm_purge(row)}
        ends_at = (row.binned_at or row.created_at) + timedelta(days=days)
        binned.append((row, ends_at, forms | (tried if row.pk == number else {})))
    shown = {"owners": [_usage(namespace) for namespace in owners], "refused": refused, "binned": binned, "days": days}
    return render(request, "site/storage.html", shown, status=status_of({**refused, **tried}))
