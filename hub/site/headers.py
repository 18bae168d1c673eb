"""The headers that keep pages to themselves: content security policy and its companions, on every answer."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from registry.publish import uploads

PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
# The administration's own scripts evaluate expressions in attributes; it shows no stranger's HTML.
ADMINISTRATION = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
PERMISSIONS = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"


def with_store(answer: HttpResponse) -> HttpResponse:
    """Let the scripts of a page send files to the store itself, where it takes them from clients."""
    if origin := uploads.store_origin():
        answer.headers["Content-Security-Policy"] = PAGES.replace("connect-src 'self'", f"connect-src 'self' {origin}")
    return answer


class SecurityHeaders:
    """Adds what the view has not set itself: files of strangers carry a stricter policy of their own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        policy = ADMINISTRATION if request.path.startswith(reverse("admin:index")) else PAGES
        answer.headers.setdefault("Content-Security-Policy", policy)
        answer.headers.setdefault("Permissions-Policy", PERMISSIONS)
        answer.headers.setdefault("X-Frame-Options", "DENY")
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            answer.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
            answer.headers.setdefault("Cache-Control", "private, no-store")
        return answer
