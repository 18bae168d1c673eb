"""The headers that keep pages to themselves: content security policy on every answer, and what browsers may keep."""

from collections.abc import Callable
from hashlib import sha256

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response

from registry.publish import uploads

PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
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
        answer.headers.setdefault("Content-Security-Policy", PAGES)
        answer.headers.setdefault("Permissions-Policy", PERMISSIONS)
        answer.headers.setdefault("X-Frame-Options", "DENY")
        if not _is_page(answer):
            return answer
        answer.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if "Cache-Control" not in answer.headers and _is_for_everybody(request, answer):
            answer.headers["Cache-Control"] = "private, max-age=0, must-revalidate"
            etag = f'W/"{sha256(answer.content).hexdigest()[:32]}"'
            answer.headers["ETag"] = etag
            return get_conditional_response(request, etag=etag, response=answer) or answer
        answer.headers.setdefault("Cache-Control", "private, no-store")
        return answer


def _is_page(answer: HttpResponse) -> bool:
    return answer.headers.get("Content-Type", "").startswith("text/html") and not answer.streaming


def _is_for_everybody(request: HttpRequest, answer: HttpResponse) -> bool:
    """Return whether a browser may keep a page and show it again on "back": a stranger's, without a form's secret."""
    is_read = request.method in {"GET", "HEAD"} and answer.status_code == 200
    holds_secret = "CSRF_COOKIE_NEEDS_UPDATE" in request.META or answer.cookies
    by = getattr(request, "caller", None)  # missing where the request was refused before anybody asked who it is
    return is_read and not holds_secret and by is not None and by.user is None
