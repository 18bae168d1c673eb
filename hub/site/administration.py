"""The pages of those who run the hub: settings, rules, limits, invitations, the log of privileged acts."""

from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.identity import lacks_second_factor
from hub.site.forms import Form, text_field
from hub.site.refusals import View, not_found
from hub.site.repository.repository_pages import header_of
from hub.site.routing import RepositoryAddress
from hub.site.sign_in.sessions import ask_again
from hub.site.visitor import caller, person
from registry.kernel import policy
from registry.kernel.policy import Permission
from registry.kernel.texts import cursors
from registry.moderation import audit_log
from registry.moderation.audit_log import Filter
from registry.people import accounts
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
