"""Routes of signing in by an identity provider, and by a link from the operator."""

from hub.site.routing import at
from hub.site.routing import forms as posts
from hub.site.sign_in import once, sign_on

urlpatterns = [
    *posts("login", "login/with", ("<str:provider>", sign_on.start, "sign-on")),
    at("login/with/<str:provider>/callback", sign_on.callback, "sign-on-callback"),
    at("login/once/<str:key>", once.sign_in, "sign-in-once"),
    at("settings/security/confirm/provider", sign_on.confirm, "confirm-by-provider"),
    *posts(
        "security",
        "settings/security/linked",
        ("with/<str:provider>", sign_on.link, "link-provider"),
        ("<int:number>/remove", sign_on.unlink, "unlink-provider"),
    ),
]
