"""Pages of rules: names that nobody gets, limits of one person or organisation, switches of the site, its banner."""

import re
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from hub.site import lists
from hub.site.forms import Form, name_field, posted, status_of, text_field
from hub.site.sign_in.sessions import for_administrators, for_moderators
from hub.site.visitor import caller
from registry.kernel import policy, quotas, site_settings
from registry.kernel.site_settings import CHOICES, LEVELS, MAX_TEXT, Banner
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


class Moment(forms.DateTimeInput):
    """A time to the minute, in the browser's own field."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")

    def format_value(self, value: Any) -> str | None:
        """Return the value for the browser's field; what was typed and is no time is shown as it was typed."""
        try:
            return super().format_value(datetime.fromisoformat(value) if isinstance(value, str) and value else value)
        except ValueError:
            return str(value)


SETTING_WORDS = {
    "registration": (
        _("Registration"),
        {"open": _("Anyone may join"), "invite": _("By invitation"), "closed": _("Nobody joins")},
    ),
    "organization_invitations": (
        _("Invitations by organisations"),
        {
            "accounts": _("Only people with an account accept them"),
            "anybody": _("They also let people join while registration is by invitation"),
        },
    ),
    "second_factor": (
        _("Second factor"),
        {"optional": _("People decide for themselves"), "required": _("Needed to publish and to make tokens")},
    ),
    "pull_policy": (_("Downloads"), {"open": _("Every version"), "verified": _("Only versions that passed")}),
    "throttle": (_("Rate limits"), {"on": _("On"), "off": _("Off")}),
    "uploads": (_("Uploads"), {"on": _("On"), "off": _("Off: files are not accepted")}),
    "new_repositories": (_("New repositories"), {"on": _("On"), "off": _("Off: nobody can create one")}),
    "read_only": (_("Whole hub"), {"off": _("Takes changes"), "on": _("Read-only: every change is refused")}),
    "case_hours": (_("Time to decision"), {"0": _("No target")}),
    "tombstones": (
        _("Removed repositories"),
        {"off": _("Not found, as if they had never existed"), "on": _("Tell people that something was removed")},
    ),
    "bin_days": (_("Deleted repositories stay in the bin"), {"0": _("Not at all")}),
    "transparency": (_("Transparency page"), {"public": _("For everyone"), "staff": _("For moderators")}),
}


class Switches(Form):
    """The site settings, each with its choices in words."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, choices in CHOICES.items():
            label, words = SETTING_WORDS.get(name, (name.replace("_", " ").capitalize(), {}))
            pairs = [(choice, words.get(choice) or _word(name, choice)) for choice in choices]
            self.fields[name] = forms.ChoiceField(label=label, choices=pairs)


def _word(setting: str, choice: str) -> str:
    if setting == "case_hours":
        return gettext("{hours} hours").format(hours=choice)
    return gettext("{days} days").format(days=choice) if setting == "bin_days" else choice


LEVEL_WORDS = {"information": _("Information"), "warning": _("Warning"), "outage": _("Outage")}


class BannerForm(Form):
    """The banner: text, level and time."""

    text = text_field(_("Text"), _("One or two sentences. Every page shows them."), maxlength=MAX_TEXT)
    level = forms.ChoiceField(label=_("Level"), choices=[(level, LEVEL_WORDS.get(level, level)) for level in LEVELS])
    starts_at = forms.DateTimeField(label=_("From (UTC)"), required=False, widget=Moment)
    ends_at = forms.DateTimeField(label=_("To (UTC)"), required=False, widget=Moment)

    def banner(self) -> Banner:
        """Return the banner that was typed."""
        given = self.cleaned_data
        return Banner(given["text"], given["level"], given["starts_at"], given["ends_at"])


@for_administrators
@require_safe
def switches_page(request: HttpRequest) -> HttpResponse:
    return _switches_page(request)


def change_switches(request: HttpRequest) -> HttpResponse:
    by = policy.require_admin(caller(request))
    form = Switches(request.POST)
    if form.is_valid():
        with form:
            for name, value in form.cleaned_data.items():
                site_settings.change_setting(name, value, by)
            messages.success(request, gettext("Site settings saved."))
            return redirect("site-switches")
    return _switches_page(request, switches=form)


def set_banner(request: HttpRequest) -> HttpResponse:
    """Set the banner, show how it would look (`preview`), or take it away (`remove`)."""
    by = policy.require_admin(caller(request))
    if "remove" in request.POST:
        site_settings.change_banner(None, by)
        messages.success(request, gettext("Banner removed."))
        return redirect("site-switches")
    form = BannerForm(request.POST)
    if form.is_valid():
        with form:
            wanted = site_settings.check_banner(form.banner())
            if "preview" in request.POST:
                return _switches_page(request, wanted, banner=form)
            site_settings.change_banner(wanted, by)
            messages.success(request, gettext("Banner saved."))
            return redirect("site-switches")
    return _switches_page(request, banner=form)


def _switches_page(request: HttpRequest, preview: Banner | None = None, **tried: Form) -> HttpResponse:
    """Show the switches and the banner with their forms; `tried` is the one that was refused or previewed."""
    site_settings.clear_cache()  # another process may have made the change that ended here, and its page must show it
    stored = site_settings.stored_banner()
    forms: dict[str, Form] = {
        "switches": Switches(initial={name: site_settings.get_setting(name) for name in site_settings.CHOICES}),
        "banner": BannerForm(initial=stored.document() if stored else None),
    }
    context = {"forms": forms | tried, "stored": stored, "preview": preview}
    return render(request, "administration/site.html", context, status=status_of(tried))
