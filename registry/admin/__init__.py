"""The site administration: everything can be looked at, and what can be done goes through the heart's verbs."""

import allauth.account.admin  # registers what is taken away below, as the next ones do
import allauth.mfa.admin
import allauth.socialaccount.admin
import allauth.usersessions.admin  # noqa: F401  # see above
import django.contrib.auth.admin  # noqa: F401  # see above
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from registry.admin import rows  # noqa: F401  # registers what is shown


# The website's own sign-in page, with its limits, is the only way in.
def _sign_in(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    if request.user.is_authenticated:
        raise Http404  # a signed-in person who is no administrator: nothing is here for them
    return redirect_to_login(request.GET.get("next", reverse("admin:index")), reverse("login"))


def _not_here(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    raise Http404


admin.site.login = _sign_in  # type: ignore[method-assign]  # Django documents no other way
admin.site.password_change = _not_here  # type: ignore[method-assign, assignment]  # Django has no other switch
admin.site.unregister(Group)  # rights follow from a person's role
admin.site.unregister(
    [EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken, UserSession]
)  # they could be edited there
