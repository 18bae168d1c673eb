"""How the Xet routes are asked and answer: no cookies, who asks too often, catalogue refusals."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from hub import limits
from hub.answers import refuse
from hub.errors import of_database
from hub.limits import Family
from registry.errors import RegistryError, TooOften

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
                raise TooOften(*taken.words)
            return view(request, *args, **kwargs)
        except RegistryError as error:
            answer = refuse(request, error, is_anonymous="Authorization" not in request.headers)
            for header, value in taken.headers().items() if taken and taken.is_refused else ():
                answer[header] = value
            return answer
        except OperationalError as problem:
            return refuse(request, of_database(problem))

    return spoken
