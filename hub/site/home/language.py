"""The choice of a language, kept in a cookie of the browser."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from hub.site.sign_in.account import page_before
from registry.kernel.errors import ValueInvalid


@csrf_exempt  # a secret in the footer would set a cookie for each stranger, and protect nothing but a language
@require_POST
def choose(request: HttpRequest) -> HttpResponse:
    """Keep the language that was chosen, and go back to the page."""
    language = request.POST.get("language", "")
    if language not in dict(settings.LANGUAGES):
        raise ValueInvalid(
            f"There are no pages in the language {language[:20]!r}.", fix="Choose one in the footer of a page."
        )
    answer = HttpResponseRedirect(page_before(request, reverse("home")))
    answer.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        path=settings.FORCE_SCRIPT_NAME or "/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
    return answer
