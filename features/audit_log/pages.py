"""The audit log on the website: all of it for moderators, and what concerns them for owners."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from features.audit_log import verbs
from hub.site.forms import Form, text_field
from hub.site.panels import Link, Pages
from hub.site.repository.repository_header import header_of
from hub.site.routing import RepositoryAddress, at
from hub.site.sign_in.sessions import for_moderators
from hub.site.visitor import caller, person
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.people import accounts
from registry.people.organizations import organizations


class LogFilter(Form):
    """The events of the audit log that a moderator looks for."""

    actor = text_field(_("Actor"), required=False, maxlength=96)
    object = text_field(_("Object"), _("A repository, person, organisation or setting."), required=False, maxlength=255)
    action = text_field(_("Action"), _("Such as `adapter:quarantine`."), required=False, maxlength=64)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def chosen(self) -> verbs.Filter:
        """Return the filter that was typed; days that cannot be read exclude nothing."""
        self.full_clean()
        given: dict[str, Any] = self.cleaned_data
        since, until = given.get("since"), given.get("until")
        return verbs.Filter(
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
    page = verbs.listed(form.chosen(), _before(request), EVENTS)
    query = {name: value for name, value in request.GET.items() if value and name != "before"}
    older = f"?{urlencode(query | {'before': page.next})}" if page.next else ""
    context = {"form": form, "events": page.items, "older": older, "is_filtered": bool(query)}
    return render(request, "audit_log/log.html", context, status=form.status)


@require_safe
def repository_activity(request: HttpRequest, address: RepositoryAddress) -> HttpResponse:
    header = header_of(request, address, Permission.ARCHIVE)
    page = verbs.activity(header.repository, caller(request), _before(request), EVENTS)
    context = {"header": header, "tab": "settings", "events": page.items, "older": _older(page.next)}
    return render(request, "audit_log/repository_activity.html", context)


@require_safe
def organization_activity(request: HttpRequest, ns: str) -> HttpResponse:
    person(request)
    organization = organizations.require_administered(accounts.resolve_namespace(ns).name, caller(request))
    page = verbs.activity(organization.namespace, caller(request), _before(request), EVENTS)
    context = {
        "organization": organization,
        "settings": reverse("organization-settings", args=[organization]),
        "events": page.items,
        "older": _older(page.next),
    }
    return render(request, "audit_log/organization_activity.html", context)


def _before(request: HttpRequest) -> int:
    return cursors.parse_row_number(request.GET.get("before", ""))


def _older(cursor: str) -> str:
    return f"?before={cursor}" if cursor else ""


PAGES = Pages(
    routes=[
        at("organizations/<str:ns>/settings/activity", organization_activity, "organization-activity"),
        at("<repository:address>/settings/activity", repository_activity, "repository-activity"),
        at("moderation/log", log, "moderation-log"),
    ],
    links=(
        Link("repository", "repository-activity", _("Activity"), place=90),
        Link("organization", "organization-activity", _("Activity"), place=90),
        Link("moderation", "moderation-log", _("Audit log"), place=50),
        Link("staff", "moderation-log", _("Moderation log"), words="audit"),
    ),
)
