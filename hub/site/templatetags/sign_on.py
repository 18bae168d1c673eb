"""Parts of pages about identity providers."""

from typing import Any

from allauth.socialaccount.models import SocialAccount
from django import template
from django.conf import settings
from django.template import RequestContext
from django.utils.translation import gettext

register = template.Library()


@register.inclusion_tag("site/parts/providers.html", takes_context=True)
def sign_on_buttons(context: RequestContext, next: str, verb: str = "") -> dict[str, Any]:
    """Show a button for each identity provider."""
    providers = list(settings.OIDC_PROVIDERS.values())
    main = not settings.PASSWORD_SIGN_IN
    return {
        "providers": providers,
        "next": next,
        "verb": verb or gettext("Sign in"),
        "main": main,
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("site/parts/linked.html", takes_context=True)
def linked_accounts(context: RequestContext) -> dict[str, Any]:
    """Show with which identity providers the person's account is linked, and the others."""
    providers = settings.OIDC_PROVIDERS
    accounts = SocialAccount.objects.filter(user=context["request"].user).order_by("pk") if providers else []
    linked = [(account, providers[account.provider]) for account in accounts if account.provider in providers]
    others = [provider for provider in providers.values() if provider.id not in {row.provider for row, _ in linked}]
    return {"linked": linked, "providers": others, "csrf_token": context.get("csrf_token")}


@register.simple_tag
def takes_passwords() -> bool:
    """Return whether people may sign in by a password or a passkey."""
    return bool(settings.PASSWORD_SIGN_IN)
