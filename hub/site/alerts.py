"""What a person was told: the list, marking it as read, and whether letters are sent too."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from hub.site import paging
from hub.site.visitor import person
from registry.kernel import ids
from registry.models import User
from registry.proof.proofs import refusal
from registry.talk import alerts

LISTED = 50


@require_http_methods(["GET", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    """List them, newest first; POST marks all up to one as read, or switches letters on and off."""
    user = person(request)
    if request.method == "POST":
        _do(request, user)
        return redirect("notifications")
    found, older = paging.older(request, alerts.of(user), LISTED)
    shown = {
        "rows": [
            (alert, alerts.address(alert), *(refusal(alert.verdict.result) if alert.verdict else ("", "")))
            for alert in found
        ],
        "newest": found[0].pk if found else 0,
        "older": older,
        "unread": alerts.unread(user),
        "mail": user.mail_alerts,
        "sends": bool(settings.MAIL_FROM),
        "address": user.email,
    }
    return render(request, "site/notifications.html", shown)


def _do(request: HttpRequest, user: User) -> None:
    if request.POST.get("do") == "read":
        alerts.read(user, ids.row(request.POST.get("up_to", "")))
    elif request.POST.get("do") == "mail":
        alerts.set_mail(user, request.POST.get("mail") == "on")
