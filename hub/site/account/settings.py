"""The first page of a person's settings: every other one of them, each with how it stands."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from hub.site.visitor import caller, person
from registry.people.organizations import invitations
from registry.talk import webhooks
from registry.talk.alerts import alerts


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user = person(request)
    tokens = list(user.tokens.all())
    hooks = list(webhooks.mine(caller(request)))
    shown = {
        "user": user,
        "tokens": tokens,
        "ended": sum(token.expires_at is not None and token.expires_at <= timezone.now() for token in tokens),
        "last_use": max((token.last_used_at for token in tokens if token.last_used_at), default=None),
        "unread": alerts.unread(user),
        "memberships": user.memberships.select_related("organization__namespace").order_by("pk"),
        "invited": invitations.list_received(caller(request)).count(),
        "hooks": hooks,
        "stopped": sum(hook.disabled for hook in hooks),
    }
    return render(request, "site/settings.html", shown)
