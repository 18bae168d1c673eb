"""How the Xet routes answer: small JSON, and refusals in the shape that the Hub's clients read."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from hub.errors import face
from registry.errors import RegistryError

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
            return refusal(error)

    return spoken


def refusal(error: RegistryError) -> JsonResponse:
    """Return a refusal: one sentence and the fix for people, the code for programs."""
    sentence = f"{error.detail} {error.fix}".strip()
    answer = JsonResponse({"error": sentence, "code": error.code}, status=face(error).status)
    answer["X-Error-Code"] = face(error).hub_code or error.code
    answer["X-Error-Message"] = " ".join(sentence.encode("ascii", "replace").decode().split())
    return answer
