"""How the Xet routes answer: small JSON, and refusals in the shape that the Hub's clients read."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from hub.errors import face
from registry.errors import AdapterNotFound, RegistryError

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def xet(view: View[P]) -> View[P]:
    """Make a view of the Xet dialect: no cookies, hence no CSRF; catalogue refusals become JSON."""

    @csrf_exempt
    @wraps(view)
    def spoken(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except RegistryError as error:
            return refusal(error, anonymous="Authorization" not in request.headers)

    return spoken


def refusal(error: RegistryError, *, anonymous: bool = False) -> JsonResponse:
    """Return a refusal: one sentence and the fix for people, codes for programs."""
    look, sentence = face(error), f"{error.detail} {error.fix}".strip()
    # As on the Hub: what is not there might be there with credentials.
    status = 401 if anonymous and isinstance(error, AdapterNotFound) else look.status
    answer = JsonResponse({"error": sentence, "code": error.code}, status=status)
    answer["X-Error-Code"] = look.hub_code or error.code
    answer["X-Error-Message"] = look.hub_message or " ".join(sentence.encode("ascii", "replace").decode().split())
    return answer
