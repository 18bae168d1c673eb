"""The decorator of every Xet route: no cookies, rate limits, refusals as JSON."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from hub import limits
from hub.answers import refuse, refuse_nul
from hub.errors import of_database
from hub.identity import wire_caller
from hub.limits import Family, Taken
from hub.read_only import refuse_write
from hub.xet import tickets
from registry.kernel.errors import RegistryError, TokenInvalid, TooOften
from registry.kernel.policy import NOBODY, Caller

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def xet(view: View[P]) -> View[P]:
    """Make a view of the Xet dialect: no cookies, hence no CSRF; catalogue refusals become JSON."""

    @csrf_exempt
    @wraps(view)
    def answering(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        kwargs.pop("store", None)  # it is there for the client's cache alone
        taken: Taken | None = None
        try:
            taken = _counted(request)
            if taken and taken.is_refused:
                raise TooOften(*taken.words)
            refuse_nul(request)
            refuse_write(request)
            return view(request, *args, **kwargs)
        except RegistryError as error:
            answer = refuse(request, error, is_anonymous="Authorization" not in request.headers)
            for header, value in taken.headers().items() if taken and taken.is_refused else ():
                answer[header] = value
            return answer
        except OperationalError as problem:
            return refuse(request, of_database(problem))

    return answering


def _counted(request: HttpRequest) -> Taken | None:
    """Count a request by its ticket's token, else by its caller, else by its address."""
    try:
        token = tickets.token_of(request.headers.get("Authorization", ""))
        return limits.take(request, Family.FILES) if token is None else limits.take_of_token(Family.FILES, token)
    except TokenInvalid:
        return limits.take(request, Family.FILES, _caller_of(request))


def _caller_of(request: HttpRequest) -> Caller:
    try:
        return wire_caller(request)
    except TokenInvalid:
        return NOBODY
