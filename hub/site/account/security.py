"""The page of a person's second factors and sessions, and how sessions are ended."""

from allauth.mfa.models import Authenticator
from allauth.usersessions.internal.flows import sessions as session_flows
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from hub.shared.sessions import browser_name
from hub.site.account.sessions import note_use
from hub.site.visitor import person


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user = person(request)
    note_use(request)
    factors = list(Authenticator.objects.filter(user=user).order_by("created_at", "pk"))
    of_type = {kind: [factor for factor in factors if factor.type == kind] for kind in Authenticator.Type.values}
    codes = of_type[Authenticator.Type.RECOVERY_CODES]
    sessions = sorted(UserSession.objects.purge_and_list(user), key=lambda session: session.last_seen_at, reverse=True)
    shown = {
        "app": next(iter(of_type[Authenticator.Type.TOTP]), None),
        "passkeys": [(factor, factor.wrap()) for factor in of_type[Authenticator.Type.WEBAUTHN]],
        "codes_left": len(codes[0].wrap().get_unused_codes()) if codes else None,
        "has_factor": len(factors) > len(codes),
        "sessions": [(session, browser_name(session.user_agent)) for session in sessions],
    }
    return render(request, "site/security.html", shown)


@require_POST
def end_session(request: HttpRequest, number: int) -> HttpResponse:
    sessions = UserSession.objects.filter(user=person(request), pk=number)
    session_flows.end_sessions(request, list(sessions))
    return redirect("security")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    session_flows.end_other_sessions(request, person(request))
    messages.success(request, gettext("You are signed out everywhere else."))
    return redirect("security")
