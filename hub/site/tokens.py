"""A person's access tokens: make one and see it once, see the others' last use, revoke."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_http_methods, require_POST

from hub.site.visitor import person
from registry import people
from registry.errors import RegistryError, ValueInvalid


@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """List the tokens; POST makes one and shows its value in the answer itself, the only time it is ever shown."""
    user = person(request)
    shown: dict[str, Any] = {"given": request.POST, "welcome": "welcome" in request.GET}
    if request.method == "POST":
        try:
            name, role = request.POST.get("name", ""), request.POST.get("role", "")
            shown["value"] = people.make_token(user, name, role, expires_at=_expiry(request.POST.get("expires", "")))
            shown["given"] = {}
        except RegistryError as error:
            shown["error"] = error
    shown |= {"tokens": list(user.tokens.all()), "now": timezone.now(), "tomorrow": date.today() + timedelta(days=1)}
    return render(request, "site/tokens.html", shown, status=400 if "error" in shown else 200)


@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    people.revoke_token(person(request), token_id)
    return HttpResponseRedirect("/settings/tokens")


def _expiry(text: str) -> datetime | None:
    """The end of the day that was typed, or None for a token without an end."""
    if not text:
        return None
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise ValueInvalid(f"{text!r} is not a date.", fix="Write it as 2027-01-31, or leave it empty.")
    end = timezone.make_aware(datetime.combine(day, time.max.replace(microsecond=0)))
    if end <= timezone.now():
        raise ValueInvalid(f"{text} is in the past.", fix="Choose a later day, or leave it empty.")
    return end
