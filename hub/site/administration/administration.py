"""The pages of Django's administration ask of a session what the website's own pages of administrators ask."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpResponse

from hub.site.administration.staff import for_administrators
from hub.site.sign_in.reauthentication import needs_recent_authentication

View = Callable[..., HttpResponse]


def guard(site: AdminSite) -> None:
    """Ask for the second factor before every view of an administration; call it before its routes are made.

    A view whose attribute `needs_recent_proof` is true runs only for a person who proved who they are lately.
    """
    admin_view: Callable[..., Any] = site.admin_view

    def guarded(view: View, cacheable: bool = False) -> Any:
        is_dangerous = getattr(view, "needs_recent_proof", False)
        return admin_view((needs_recent_authentication if is_dangerous else for_administrators)(view), cacheable)

    site.admin_view = guarded  # type: ignore[method-assign, assignment]  # each view and each page of rows goes through it
