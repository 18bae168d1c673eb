"""A person's access tokens: make one and see it once, see the others' last use, revoke."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_http_methods, require_POST

from hub.errors import status_with
from hub.site.visitor import caller, person
from registry.kernel import policy
from registry.kernel.errors import RegistryError, ValueInvalid
from registry.models import Repository
from registry.people import tokens

MOST_OFFERED = 200


@require_http_methods(["GET", "POST"])
def listed(request: HttpRequest) -> HttpResponse:
    """List the tokens; POST makes one and shows its value in the answer itself, the only time it is ever shown."""
    user = person(request)
    shown: dict[str, Any] = {"given": request.POST, "welcome": "welcome" in request.GET}
    if request.method == "POST":
        try:
            name, role = request.POST.get("name", ""), request.POST.get("role", "")
            grants = _grants(request) if role == "fine-grained" else {}
            expires_at = _expiry(request.POST.get("expires", ""))
            shown["value"] = tokens.make(user, name, role, expires_at=expires_at, grants=grants)
            shown["given"] = {}
        except RegistryError as error:
            shown["error"] = error
    shown["repositories"] = _repositories(request)
    shown |= {"tokens": list(user.tokens.all()), "now": timezone.now(), "tomorrow": date.today() + timedelta(days=1)}
    return render(request, "site/tokens.html", shown, status=status_with(shown.get("error")))


@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    tokens.revoke(person(request), token_id)
    return redirect("tokens")


def _repositories(request: HttpRequest) -> list[tuple[str, str]]:
    """The repositories a token may be made for, with the right that was chosen before an error; the newest first."""
    by = caller(request)
    mine = Repository.objects.filter(policy.visible_to(by), namespace_id__in=list(by.roles))
    rows = mine.select_related("namespace").order_by("-updated_at")[:MOST_OFFERED]
    return [(row.full_name, request.POST.get(f"grant:{row.full_name}", "")) for row in rows]


def _grants(request: HttpRequest) -> dict[str, str]:
    """Read the chosen repositories: one field for each of the person's own, and one for a name typed by hand."""
    sent = [(key, str(value)) for key, value in request.POST.items()]
    chosen = {key.removeprefix("grant:"): value for key, value in sent if key.startswith("grant:")}
    if other := request.POST.get("other", "").strip():
        chosen[other] = request.POST.get("other_right", "read")
    grants = {name: right for name, right in chosen.items() if right}
    if not grants:
        raise ValueInvalid("No repository is chosen.", fix="Choose read or write for one at least.")
    return grants


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
