"""A person's notifications: the list, marking it as read, and whether e-mails are sent too."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from hub.site import paging
from hub.site.forms.notifications import Mail, MarkRead
from hub.site.visitor import person
from registry.proof.proofs import refusal
from registry.talk import alerts

LISTED = 50


@require_safe
def notifications(request: HttpRequest) -> HttpResponse:
    """List them, newest first."""
    user = person(request)
    page, older = paging.older(request, alerts.of(user), LISTED)
    context = {
        "rows": [
            (alert, alerts.address(alert), *(refusal(alert.verdict.report) if alert.verdict else ("", "")))
            for alert in page
        ],
        "newest": page[0].pk if page else 0,
        "older": older,
        "unread": alerts.unread(user),
        "mail": user.mail_alerts,
        "sends": bool(settings.MAIL_FROM),
        "address": user.email,
    }
    return render(request, "site/notifications.html", context)


@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """Mark all up to one as read."""
    user, form = person(request), MarkRead(request.POST)
    if form.is_valid():
        alerts.read(user, form.cleaned_data["up_to"])
    return redirect("notifications")


@require_POST
def set_mail(request: HttpRequest) -> HttpResponse:
    """Switch e-mails on or off."""
    user, form = person(request), Mail(request.POST)
    if form.is_valid():
        alerts.set_mail(user, form.cleaned_data["mail"])
    return redirect("notifications")
