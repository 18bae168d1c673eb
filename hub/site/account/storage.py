"""What people and organisations store: their usage, the bin of deleted repositories, and the limits of an owner."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from hub.site.administration import for_administrators
from hub.site.forms import Confirm, Form, name_field, posted, status_of, text_field
from hub.site.measures import size
from hub.site.visitor import caller, person
from hub.site.words import DELETE_LABELS
from registry.kernel import quotas
from registry.kernel.errors import RegistryError
from registry.models import Membership, Namespace, Repository
from registry.people import accounts, quota_limits
from registry.people.organizations import organizations
from registry.people.quota_limits import MAX_REASON
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

    def field_of(self, refusal: RegistryError) -> str | None:
        return "name"


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
    shown = {
        "owners": [_usage(namespace) for namespace in owners],
        "refused": refused,
        "binned": binned,
        "days": days,
    }
    return render(request, "site/storage.html", shown, status=status_of({**refused, **tried}))


UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,3})?)\s*([A-Za-z]{0,2})")


class Limit(forms.Field):
    """A limit as it is typed: empty for the hub's own (None), `none` for no limit (0), else a number with a unit."""

    def __init__(self, *, has_unit: bool, **options: Any) -> None:
        super().__init__(required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}), **options)
        self.units = UNITS if has_unit else {"": 1}

    def to_python(self, value: Any) -> int | None:
        text = str(value or "").strip().replace(",", "")
        if not text:
            return None
        if text.lower() == "none":
            return 0
        typed = SIZE.fullmatch(text)
        if typed is None or typed[2].upper() not in self.units:
            if len(self.units) > 1:
                raise forms.ValidationError(
                    _("Enter a size such as 50 GB, “none”, or leave it empty for the hub's default limit.")
                )
            raise forms.ValidationError(_("Enter a number, “none”, or leave it empty for the hub's default limit."))
        unit = self.units[typed[2].upper()]
        return round(float(typed[1]) * unit) if "." in typed[1] else int(typed[1]) * unit


class NewQuota(Form):
    """Limits of one person or organisation, in place of the hub's own."""

    name = name_field(_("Person or organisation"))
    bytes = Limit(
        label=_("Bytes"),
        help_text=_("Such as `50 GB`; `none` for no limit, empty for the hub's default."),
        has_unit=True,
    )
    repositories = Limit(label=_("Repositories"), help_text=_("A number; `none` and empty as above."), has_unit=False)
    reason = text_field(_("Reason"), _("Shown to the owners."), maxlength=MAX_REASON)


OWNERS_WITH_LIMITS = {Namespace.Kind.PERSON: _("A person"), Namespace.Kind.ORGANIZATION: _("An organisation")}
QUOTA_ROWS = 100  # the newest are shown


@for_administrators
@require_http_methods(["GET", "POST"])
def quotas_page(request: HttpRequest) -> HttpResponse:
    """List the limits that administrators of the hub set, with the use; POST sets some."""
    form = NewQuota(posted(request), initial={"name": request.GET.get("name", "")})
    if form.is_valid():
        given = form.cleaned_data
        with form:
            quota_limits.change(
                given["name"],
                caller(request),
                bytes=given["bytes"],
                repositories=given["repositories"],
                reason=given["reason"],
            )
            return redirect("site-quotas")
    rows = quotas.usage_of_each(quota_limits.listed()[:QUOTA_ROWS])
    hub = [(OWNERS_WITH_LIMITS[kind], quotas.hub_limits(kind)) for kind in Namespace.Kind]
    context = {"form": form, "rows": rows, "hub": hub}
    return render(request, "site/moderation/quotas.html", context, status=form.status)
