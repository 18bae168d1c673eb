"""The language of pages: the one that a visitor chose, else the one that their browser asks for."""

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import trans_real

from hub.limits import NOT_PAGES

PAGES_TOO = frozenset({"/status", "/api/v1/docs"})  # their requests are not counted with those of pages
ENGLISH = re.compile(r"/(?:admin|simple|avatars)/|.*(?:\.atom|/share\.png)$")


class PageLanguage:
    """Middleware: activates the language for pages alone; programs, feeds and the administration get English."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        # Behind the catalogue of English stand five that are empty; each text of a page would be looked up in all.
        english = trans_real.translation(settings.LANGUAGE_CODE)
        english._fallback = None  # type: ignore[attr-defined]  # of Python's gettext, and stable

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _is_page(request.path_info):
            return self.get_response(request)
        # Not LocaleMiddleware: it leaves its language active for the next request of the thread, which may be one
        # of those that it must not touch.
        with translation.override(translation.get_language_from_request(request), deactivate=True):
            answer = self.get_response(request)
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                answer.headers.setdefault("Content-Language", translation.get_language())
                patch_vary_headers(answer, ("Accept-Language", "Cookie"))
        return answer


def _is_page(path: str) -> bool:
    return path in PAGES_TOO or not (NOT_PAGES.match(path) or ENGLISH.match(path))
