"""The home, and what stands beside it: the language, the contact for security, the icon."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from hub.addresses import origin
from hub.site import panels
from hub.site.lists import rows_of
from hub.site.proof import compared_metric
from hub.site.visitor import caller, page_before
from registry.kernel.errors import ValueInvalid
from registry.kernel.policy import Caller
from registry.repos.lists import catalog, tallies
from registry.repos.lists.catalog import Query

VERIFIED, COMMON_BASES = 6, 6  # adapters and bases on the home of strangers
TRENDING = 5


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show a person what a feature has for them; strangers, what this is and the best of what is here."""
    by = caller(request)
    is_own = by.user is not None and bool(panels.panels("own-home"))
    return render(request, "site/home.html", {"is_own": True} if is_own else _for_strangers(by))


def _for_strangers(by: Caller) -> dict[str, object]:
    """Return the last verdict with its first number, the ones before it, what trends, and the commonest bases."""
    proven = Query(verdict=["passed"], only_verified=True)
    rows = rows_of(catalog.search(by, proven, limit=VERIFIED))
    last = next((row for row in rows if row.verdict), None)
    evals = last.verdict.report.evals if last and last.verdict else ()
    measured = [compared_metric(replace(item, claimed=None)) for item in evals]
    trending = catalog.search(by, replace(proven, sort="trending"), limit=TRENDING, with_verdicts=False)
    return {
        "last": last,
        "measured": next((one for one in measured if not one.is_neutral), None),
        "rows": [row for row in rows if row is not last],
        "trending": [repository for repository in trending.items if repository.trending > 0],
        "bases": [base for base in tallies.list_bases(by, limit=COMMON_BASES).items if base.adapters],
    }


@csrf_exempt  # a secret in the footer would set a cookie for each stranger, and protect nothing but a language
def choose_language(request: HttpRequest) -> HttpResponse:
    """Keep the language that was chosen, and go back to the page."""
    language = request.POST.get("language", "")
    if language not in dict(settings.LANGUAGES):
        raise ValueInvalid(f"Unknown language {language[:20]!r}.", fix="Choose a language in the footer.")
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


@require_safe
def security_contact(request: HttpRequest) -> HttpResponse:
    """Say where to report a vulnerability (RFC 9116), if the operator has said so."""
    if not settings.SECURITY_CONTACT:
        raise Http404
    expires = datetime.now(UTC).replace(hour=0, minute=0, second=0) + timedelta(days=180)
    lines = [f"Contact: {address}" for address in settings.SECURITY_CONTACT]
    lines += [f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}", "Preferred-Languages: en"]
    lines += [f"Canonical: {origin(request)}{reverse('security-contact')}", ""]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


@require_safe
def icon(request: HttpRequest) -> HttpResponse:
    """Lead programs that read no HTML to the icon."""
    return redirect(static("img/favicon.svg"))
