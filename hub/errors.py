"""One table: the HTTP status of each refusal, and the codes and sentences that the Hub's clients compare."""

import logging
import re
from dataclasses import dataclass, replace
from typing import TypeVar

from django.db import OperationalError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import get_script_prefix

from hub.addresses import origin
from registry.kernel import errors

log = logging.getLogger(__name__)

Response = TypeVar("Response", bound=HttpResponseBase)


@dataclass(frozen=True, slots=True)
class HttpForm:
    """The HTTP form of a refusal: its status, and the Hub's own code and message where clients compare them.

    `hub_message` is a sentence that huggingface_hub compares literally (utils/_http.py, hf_raise_for_status).
    """

    status: int
    hub_code: str = ""
    hub_message: str = ""
    retry_seconds: int = 0  # of the refusal

    def say_when(self, response: Response) -> Response:
        """Return the response with Retry-After, where asking again may help."""
        if self.retry_seconds:
            response["Retry-After"] = str(self.retry_seconds)
        return response


TABLE: dict[type[errors.RegistryError], HttpForm] = {
    errors.Invalid: HttpForm(400),
    errors.Forbidden: HttpForm(403),
    errors.Missing: HttpForm(404),
    errors.Conflict: HttpForm(409),
    errors.WrongElsewhere: HttpForm(502),
    errors.Unavailable: HttpForm(503),
    errors.SignInRequired: HttpForm(401),
    errors.TokenInvalid: HttpForm(401, hub_message="Invalid credentials in Authorization header"),
    errors.GateSignInRequired: HttpForm(401, "GatedRepo"),
    errors.RepositoryNotFound: HttpForm(404, "RepoNotFound"),
    errors.RepositoryMoved: HttpForm(307),
    errors.RevisionNotFound: HttpForm(404, "RevisionNotFound"),
    errors.FileNotFound: HttpForm(404, "EntryNotFound"),
    errors.FilesExpired: HttpForm(410),
    errors.PathInvalid: HttpForm(422),
    errors.FileTooLarge: HttpForm(413),
    errors.PushTooLarge: HttpForm(413),
    errors.ParentStale: HttpForm(412),
    errors.LengthRequired: HttpForm(411),
    errors.RepositoryRemoved: HttpForm(410),
    errors.RepositoryQuarantined: HttpForm(403, hub_message="Access to this resource is disabled."),
    errors.ViewReadOnly: HttpForm(405),
    errors.AccessRequired: HttpForm(403, "GatedRepo"),
    errors.TooOften: HttpForm(429),
    errors.TooManyStreams: HttpForm(429),
    errors.DownloadsFull: HttpForm(429),  # huggingface_hub downloads again after 429, not after 503
    errors.IdempotencyKeyReused: HttpForm(422),
    errors.NotReady: HttpForm(429),
    errors.NotSupported: HttpForm(501),
}


def http_form(error: errors.RegistryError | type[errors.RegistryError]) -> HttpForm:
    """Return the HTTP form of a refusal: its own, or that of the class that it is derived from."""
    form = next(TABLE[cls] for cls in (error if isinstance(error, type) else type(error)).__mro__ if cls in TABLE)
    return replace(form, retry_seconds=error.retry_seconds)


def in_full(sentence: str, request: HttpRequest) -> str:
    """Return a sentence with each page path in it made absolute, since /settings leads nowhere in a terminal."""
    prefix = re.escape(get_script_prefix().rstrip("/"))
    return re.sub(rf"\b(at|See|see) (?:{prefix})?(?=/[a-z])", rf"\1 {origin(request)}", sentence)


def of_database(problem: OperationalError) -> errors.StoreUnavailable:
    """Return the refusal for a database that is full, locked for too long, or down; its own message is only logged."""
    log.error("The database refused a query", exc_info=problem)
    return errors.StoreUnavailable("The database of this hub is unavailable or full.")
