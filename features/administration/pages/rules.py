"""Two pages of rules: names that nobody gets, and the limits of one person or organisation."""

import re
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from hub.site import lists
from hub.site.forms import Form, name_field, posted, text_field
from hub.site.sign_in.sessions import for_administrators, for_moderators
from hub.site.visitor import caller
from registry.kernel import policy, quotas
from registry.kernel.texts import cursors
from registry.models import Namespace
from registry.people import name_rules, quota_limits


class NewRule(Form):
    """A rule for names, or several from a list."""

    patterns = forms.CharField(
        label=_("Names"),
        help_text=_("One per line; `*` stands for any characters, `?` for one. Or lines `kind,scope,pattern,reason`."),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    kind = forms.ChoiceField(
        label=_("Rule"),
        choices=[
            ("reserved", _("Reserved: only the operator gives it away")),
            ("prohibited", _("Prohibited: nobody gets it")),
        ],
    )
    scope = forms.ChoiceField(
        label=_("For"),
        choices=[
            ("namespace", _("People and organisations")),
            ("repository", _("Repositories, after the slash")),
            ("any", _("Both")),
        ],
    )
    reason = text_field(_("Reason"), _("For moderators."), required=False, maxlength=name_rules.MAX_REASON)


OBSERVATIONS = 50  # of one page


def names_page(request: HttpRequest) -> HttpResponse:
    """Show rules and observations, and add rules."""
    return _add_rules(request) if request.method == "POST" else _show_names(request, form=NewRule())


def remove_rule(request: HttpRequest) -> HttpResponse:
    by = policy.require_admin(caller(request))
    name_rules.remove(cursors.parse_row_number(request.POST.get("rule", "")), by)
    return redirect("site-names")


@for_administrators
def _add_rules(request: HttpRequest) -> HttpResponse:
    by = policy.require_admin(caller(request))
    form = NewRule(posted(request))
    if form.is_valid():
        given = form.cleaned_data
        with form:
            name_rules.add_all(
                given["patterns"].splitlines(), by, kind=given["kind"], scope=given["scope"], reason=given["reason"]
            )
            return redirect("site-names")
    return _show_names(request, form=form)


@for_moderators
def _show_names(request: HttpRequest, form: NewRule) -> HttpResponse:
    observations, older = lists.older(request, name_rules.recent(), OBSERVATIONS)
    context = {
        "form": form,
        "rules": name_rules.listed(),
        "observations": observations,
        "older": older,
        "may_change": policy.is_hub_admin(caller(request)),
    }
    return render(request, "administration/names.html", context, status=form.status)


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
    reason = text_field(_("Reason"), _("Shown to the owners."), maxlength=quota_limits.MAX_REASON)


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
    return render(request, "administration/quotas.html", context, status=form.status)
