"""How the Xet routes answer: small JSON, and refusals in the shape that the Hub's clients read."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from hub import limits
from hub.errors import face, in_full, of_database
from hub.limits import Family
from hub.moved import at_new_name
from registry.errors import AdapterMoved, AdapterNotFound, RegistryError, TooOften

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def xet(view: View[P]) -> View[P]:
    """Make a view of the Xet dialect: no cookies, hence no CSRF; catalogue refusals become JSON."""

    @csrf_exempt
    @wraps(view)
    def spoken(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        kwargs.pop("store", None)  # it is there for the client's cache alone
        taken = limits.take_with_ticket(request, Family.FILES)
        try:
            if taken and taken.is_refused:
                raise TooOften(taken.sentence)
            return view(request, *args, **kwargs)
        except RegistryError as error:
            answer = refusal(request, error, anonymous="Authorization" not in request.headers)
            if isinstance(error, AdapterMoved):
                answer["Location"] = at_new_name(request, error)
            for header, value in taken.headers().items() if taken and taken.is_refused else ():
                answer[header] = value
            return answer
        except OperationalError as problem:
            return refusal(request, of_database(problem))

    return spoken


def refusal(request: HttpRequest, error: RegistryError, *, anonymous: bool = False) -> JsonResponse:
    """Return a refusal: one sentence and the fix for people, codes for programs."""
    look, sentence = face(error), in_full(f"{error.detail} {error.fix}".strip(), request)
    # As on the Hub: what is not there might be there with credentials.
    status = 401 if anonymous and isinstance(error, AdapterNotFound) else look.status
    answer = JsonResponse({"error": sentence, "code": error.code}, status=status)
    answer["X-Error-Code"] = look.hub_code or error.code
    answer["X-Error-Message"] = look.hub_message or " ".join(sentence.encode("ascii", "replace").decode().split())
    return answer
