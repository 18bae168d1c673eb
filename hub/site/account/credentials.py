"""A person's access tokens, second factors and sessions."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from allauth.mfa.models import Authenticator
from allauth.usersessions.internal.flows import sessions as session_flows
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import messages
from django.forms import BoundField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from hub.addresses import origin
from hub.identity import browser_name
from hub.site.forms import Form, Option, Refusals, choice_field, posted, text_field
from hub.site.sign_in.sessions import note_use
from hub.site.visitor import caller, person
from registry.kernel import policy
from registry.kernel.errors import NameTaken
from registry.models import Repository, Token
from registry.people.tokens import tokens

RIGHTS = [("read", "read"), ("write", "write")]


class NewToken(Form):
    name = text_field(_("Name"), _("Where it is used."), maxlength=100, placeholder="laptop")
    role = choice_field(
        _("What it may do"),
        [
            ("write", Option("write", _("Push, and pull what you can see. What most people need."))),
            ("read", Option("read", _("Pull only, including your private adapters. For servers."))),
            (
                "fine-grained",
                Option("fine-grained", _("Only the repositories selected below. For servers and scripts.")),
            ),
        ],
        "write",
    )
    other = forms.CharField(required=False, max_length=200)
    other_right = forms.ChoiceField(required=False, choices=RIGHTS)
    expires = forms.DateField(
        label=_("Ends on"),
        required=False,
        help_text=_("Optional."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": _("This is not a date. Write it as 2027-01-31, or leave it empty.")},
    )
    fields_of: ClassVar[Refusals] = {NameTaken: "name"}

    def __init__(self, *args: Any, repositories: list[str], **options: Any) -> None:
        """Offer these repositories to a fine-grained token, each with a field of its own."""
        super().__init__(*args, **options)
        self.repositories = repositories
        for full_name in repositories:
            self.fields[f"grant:{full_name}"] = forms.ChoiceField(
                label=full_name, required=False, choices=[("", _("nothing")), *RIGHTS]
            )
        self.fields["other"].widget.attrs |= {
            "aria-label": _("Another repository"),
            "placeholder": _("another one: acme/router, or acme/reviews-*"),
            "autocomplete": "off",
        }
        self.fields["other_right"].widget.attrs["aria-label"] = _("Right on the other repository")
        self.fields["expires"].widget.attrs["min"] = (date.today() + timedelta(days=1)).isoformat()

    def grant_fields(self) -> Iterator[BoundField]:
        for full_name in self.repositories:
            yield self[f"grant:{full_name}"]

    def clean_expires(self) -> datetime | None:
        """Return the end of the day that was typed, None for a token without an end."""
        day = self.cleaned_data["expires"]
        if day is None:
            return None
        end = timezone.make_aware(datetime.combine(day, time.max.replace(microsecond=0)))
        if end <= timezone.now():
            raise forms.ValidationError(
                _("{day} is in the past. Choose a later day, or leave it empty.").format(day=day)
            )
        return end

    def clean(self) -> dict[str, Any]:
        """Read the chosen repositories: one field for each that is offered, and one for a name typed by hand."""
        cleaned = super().clean() or self.cleaned_data
        grants = {name: cleaned.get(f"grant:{name}") for name in self.repositories}
        if other := cleaned.get("other"):
            grants[other] = cleaned.get("other_right") or "read"
        is_fine_grained = cleaned.get("role") == Token.Role.FINE_GRAINED
        cleaned["grants"] = {name: right for name, right in grants.items() if right} if is_fine_grained else {}
        if is_fine_grained and not cleaned["grants"]:
            raise forms.ValidationError(_("No repository is chosen. Choose read or write for one at least."))
        return cleaned


MOST_OFFERED = 200


@require_http_methods(["GET", "POST"])
def tokens_page(request: HttpRequest) -> HttpResponse:
    """List the tokens; POST creates one and shows its value in the answer itself, the only time it is ever shown."""
    user, value = person(request), ""
    offered = _grantable_repositories(request)
    form = NewToken(posted(request), repositories=offered)
    if form.is_valid():
        given = form.cleaned_data
        with form:
            value = tokens.create_token(
                user, given["name"], given["role"], expires_at=given["expires"], grants=given["grants"]
            )
    context = {
        "form": NewToken(repositories=offered) if value else form,
        "value": value,
        "address": origin(request),
        "welcome": "welcome" in request.GET,
        "tokens": list(user.tokens.all()),
    }
    return render(request, "site/tokens.html", context, status=form.status)


def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    tokens.revoke_token(person(request), token_id)
    return redirect("tokens")


def _grantable_repositories(request: HttpRequest) -> list[str]:
    """Return the ids of the repositories that a token may be created for, the newest first."""
    by = caller(request)
    mine = Repository.objects.filter(policy.visible_to(by), policy.in_reach(by))
    return [row.full_name for row in mine.select_related("namespace").order_by("-updated_at")[:MOST_OFFERED]]


@require_safe
def security_page(request: HttpRequest) -> HttpResponse:
    """Show the second factors and the sessions."""
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


def end_session(request: HttpRequest, number: int) -> HttpResponse:
    sessions = UserSession.objects.filter(user=person(request), pk=number)
    session_flows.end_sessions(request, list(sessions))
    return redirect("security")


def end_other_sessions(request: HttpRequest) -> HttpResponse:
    session_flows.end_other_sessions(request, person(request))
    messages.success(request, gettext("You are signed out everywhere else."))
    return redirect("security")
