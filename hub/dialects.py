"""The base class of routes of other dialects that only read, S3 and OCI: the caller, rate limits, refusals."""

from collections.abc import Callable
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from hub import limits
from hub.answers import refuse_nul, without_body
from hub.errors import of_database
from hub.read_only import viewer
from registry.kernel.errors import RegistryError, TooOften
from registry.kernel.policy import NOBODY, Caller
from registry.repos.refs import Viewer

READS = frozenset({"GET", "HEAD"})


class Refused(Exception):
    """A refusal in the words of one dialect; `answer` is the whole response."""

    def __init__(self, answer: HttpResponseBase) -> None:
        super().__init__()
        self.answer = answer


class DialectView(View):
    """One route of a dialect that reads. Methods return a response or raise a RegistryError or Refused."""

    caller: Caller = NOBODY
    family = limits.Family.FILES

    @classmethod
    def as_view(cls, **initial: Any) -> Callable[..., HttpResponseBase]:
        return csrf_exempt(super().as_view(**initial))  # no cookie counts here, and nothing is written

    def identify(self, request: HttpRequest) -> Caller:
        """Return the caller by the dialect's own credentials. Raises TokenInvalid and Refused."""
        raise NotImplementedError

    def refuse(self, error: RegistryError) -> HttpResponseBase:
        """Return a refusal of the catalogue in the dialect's form."""
        raise NotImplementedError

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        taken: limits.Taken | None = None
        try:
            refuse_nul(request)
            self.caller, problem = self._identify(request)
            taken = limits.take(request, self.family, self.caller)
            if taken and taken.is_refused:
                raise TooOften(*taken.words)
            if problem:
                raise problem
            response = super().dispatch(request, *args, **kwargs)
        except Refused as refusal:
            response = refusal.answer
        except RegistryError as error:
            response = self.refuse(error)
        except OperationalError as problem:
            response = self.refuse(of_database(problem))
        for header, value in taken.headers().items() if taken else ():
            response[header] = value
        if request.method not in READS and request.META.get("CONTENT_LENGTH") not in (None, "", "0"):
            response["Connection"] = "close"  # its body stays unread
        return without_body(response) if request.method == "HEAD" else response

    def _identify(self, request: HttpRequest) -> tuple[Caller, RegistryError | Refused | None]:
        """Return the caller, or the refusal of bad credentials: it is raised after the request counted."""
        try:
            return self.identify(request), None
        except (RegistryError, Refused) as refusal:
            return NOBODY, refusal

    @property
    def viewer(self) -> Viewer:
        """The caller as names of revisions are resolved for them."""
        return viewer(self.request, self.caller)
