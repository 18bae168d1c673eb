"""The pages of those who run the hub: settings, rules, limits, invitations, the log of privileged acts."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.identity import lacks_second_factor
from hub.site import lists
from hub.site.forms import Form, posted, status_of, text_field
from hub.site.refusals import View, not_found
from hub.site.repository.repository_pages import header_of
from hub.site.routing import RepositoryAddress
from hub.site.sign_in.sessions import ask_again, needs_recent_authentication, send_kept_form
from hub.site.visitor import caller, person
from registry.kernel import policy, site_settings
from registry.kernel.policy import Permission
from registry.kernel.site_settings import CHOICES, LEVELS, MAX_TEXT, Banner
from registry.kernel.texts import cursors
from registry.moderation import audit_log
from registry.moderation.audit_log import Filter
from registry.people import accounts, name_rules
from registry.people.name_rules import MAX_REASON
from registry.people.organizations import organizations


def for_moderators(view: View) -> View:
    """Wrap a page for moderators and administrators; others get the page of what does not exist.

    Moderators who have a second factor must have passed it in this session.
    """

    @wraps(view)
    def guarded(request: HttpRequest, **route: Any) -> HttpResponse:
        if not caller(request).is_staff:
            return not_found(request)
        return ask_again(request) if lacks_second_factor(request) else view(request, **route)

    return guarded


def for_administrators(view: View) -> View:
    """Wrap a page for administrators of the hub; others get the page of what does not exist."""

    @wraps(view)
    def guarded(request: HttpRequest, **route: Any) -> HttpResponse:
        if not policy.is_hub_admin(caller(request)):
            return not_found(request)
        return ask_again(request) if lacks_second_factor(request) else view(request, **route)

    return guarded


def guard_administration(site: AdminSite) -> None:
    """Ask for the second factor before every view of an administration, and for a recent proof before every change.

    Call it before its routes are made.
    """
    admin_view: Callable[..., Any] = site.admin_view

    def guarded(view: View, cacheable: bool = False) -> Any:
        return send_kept_form(admin_view(for_administrators(needs_recent_authentication(view)), cacheable))

    site.admin_view = guarded  # type: ignore[method-assign, assignment]  # each view and each page of rows goes through it


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
            ("reserved", "Reserved: the operator gives it away"),
            ("prohibited", "Prohibited: nobody gets it"),
        ],
    )
    scope = forms.ChoiceField(
        label=_("For"),
        choices=[
            ("namespace", "People and organisations"),
            ("repository", "Repositories, behind the slash"),
            ("any", "Both"),
        ],
    )
    reason = text_field(_("Reason"), _("For moderators."), required=False, maxlength=MAX_REASON)


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
    return render(request, "site/moderation/site.html", context, status=status_of(tried))


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
    return render(request, "site/moderation/names.html", context, status=form.status)


class LogFilter(Form):
    """The events of the audit log that a moderator looks for."""

    actor = text_field(_("Actor"), required=False, maxlength=96)
    object = text_field(_("Object"), _("A repository, person, organisation or setting."), required=False, maxlength=255)
    action = text_field(_("Action"), _("Such as `adapter:quarantine`."), required=False, maxlength=64)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def chosen(self) -> Filter:
        """Return the filter that was typed; days that cannot be read exclude nothing."""
        self.full_clean()
        given: dict[str, Any] = self.cleaned_data
        since, until = given.get("since"), given.get("until")
        return Filter(
            actor=given.get("actor", ""),
            object=given.get("object", ""),
            action=given.get("action", ""),
            since=_start_of(since) if since else None,
            until=_start_of(until) + timedelta(days=1) if until and until < date.max else None,
        )


def _start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


EVENTS = 50  # of one page


@for_moderators
@require_safe
def log(request: HttpRequest) -> HttpResponse:
    form = LogFilter(request.GET)
    page = audit_log.listed(form.chosen(), _before(request), EVENTS)
    query = {name: value for name, value in request.GET.items() if value and name != "before"}
    older = f"?{urlencode(query | {'before': page.next})}" if page.next else ""
    context = {"form": form, "events": page.items, "older": older, "is_filtered": bool(query)}
    return render(request, "site/moderation/log.html", context, status=form.status)


@require_safe
def repository_activity(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.ARCHIVE)
    page = audit_log.activity(header.repository, caller(request), _before(request), EVENTS)
    context = {"header": header, "tab": "settings", "events": page.items, "older": _older(page.next)}
    return render(request, "site/repository_activity.html", context)


@require_safe
def organization_activity(request: HttpRequest, ns: str) -> HttpResponse:
    person(request)
    organization = organizations.require_administered(accounts.resolve_namespace(ns).name, caller(request))
    page = audit_log.activity(organization.namespace, caller(request), _before(request), EVENTS)
    context = {
        "organization": organization,
        "settings": reverse("organization-settings", args=[organization]),
        "events": page.items,
        "older": _older(page.next),
    }
    return render(request, "site/organization_activity.html", context)


def _before(request: HttpRequest) -> int:
    return cursors.parse_row_number(request.GET.get("before", ""))


def _older(cursor: str) -> str:
    return f"?before={cursor}" if cursor else ""
