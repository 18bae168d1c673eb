"""The raw tables: everything can be looked at, and what can be done goes through the verbs of the domain."""

from collections.abc import Callable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _

from features.administration.pages import rows, rules  # noqa: F401  # rows registers what is shown
from hub.site.panels import RULES, SITE, Link, Pages
from hub.site.refusals import View
from hub.site.routing import at, forms
from hub.site.sign_in.sessions import for_administrators, send_kept_form
from hub.site.sign_in.sessions import needs_recent_authentication as recent
from registry.kernel import policy


def _guard(admin_view: Callable[..., Any]) -> Callable[..., Any]:
    """Ask for the second factor before every view of the tables, and for a recent proof before every change."""

    def guarded(view: View, cacheable: bool = False) -> Any:
        return send_kept_form(admin_view(for_administrators(recent(view)), cacheable))

    return guarded


# The website's own sign-in page, with its limits, is the only way in.
def _sign_in(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    if request.user.is_authenticated:
        raise Http404  # a signed-in person who is no administrator: nothing is here for them
    return redirect_to_login(request.GET.get("next", reverse("admin:index")), reverse("login"))


def _not_here(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    raise Http404


admin.autodiscover()
admin.site.admin_view = _guard(admin.site.admin_view)  # type: ignore[method-assign]  # each view goes through it
admin.site.login = _sign_in  # type: ignore[method-assign]  # Django documents no other way
admin.site.password_change = _not_here  # type: ignore[method-assign, assignment]  # Django has no other switch
admin.site.unregister(Group)  # rights follow from a person's role
admin.site.unregister(
    [EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken, UserSession]
)  # they could be edited there

PAGES = Pages(
    routes=[
        path("admin/", admin.site.urls),
        at("moderation/names", rules.names_page, "site-names"),
        *forms(
            "site-names",
            "moderation/names",
            ("remove", rules.remove_rule, "remove-name-rule"),
            guard=for_administrators,
        ),
        at("moderation/quotas", rules.quotas_page, "site-quotas"),
        at("moderation/site", rules.switches_page, "site-switches"),
        *forms(
            "site-switches",
            "moderation/site",
            ("change", recent(rules.change_switches), "change-switches"),
            ("banner", rules.set_banner, "set-banner"),
            guard=for_administrators,
        ),
    ],
    links=(
        Link("moderation", "site-names", _("Names"), place=60, group=RULES),
        Link("moderation", "site-quotas", _("Quotas"), place=65, group=RULES, may=policy.is_hub_admin),
        Link("moderation", "site-switches", _("Switches"), place=70, group=SITE, may=policy.is_hub_admin),
        Link("moderation", "admin:index", _("Raw tables"), place=90, may=policy.is_hub_admin),
        Link("administration", "admin:index", _("Administration"), words="admin tables"),
    ),
)
