"""What a person was told: the list, marking it as read, and whether letters are sent too."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from hub.site.visitor import person
from registry import alerts
from registry.proofs import refusal

LISTED = 50


@require_http_methods(["GET", "POST"])
def notifications(request: HttpRequest) -> HttpResponse:
    user = person(request)
    if request.method == "POST":
        if request.POST.get("do") == "read":
            number = request.POST.get("up_to", "")
            alerts.read(user, int(number) if number.isdecimal() and len(number) < 19 else 0)
        elif request.POST.get("do") == "mail":
            alerts.set_mail(user, request.POST.get("mail") == "on")
        return HttpResponseRedirect("/settings/notifications")
    rows = list(alerts.of(user)[:LISTED])
    shown = {
        "rows": [(alert, *refusal(alert.verdict.result)) for alert in rows],
        "newest": rows[0].pk if rows else 0,
        "unread": alerts.unread(user),
        "mail": user.mail_alerts,
        "sends": bool(settings.MAIL_FROM),
        "address": user.email,
    }
    return render(request, "site/notifications.html", shown)
