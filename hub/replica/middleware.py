"""Lets requests that only read use a replica, and answers them from the primary where the replica fails."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import Error as DatabaseError
from django.db.utils import DEFAULT_DB_ALIAS
from django.http import HttpRequest, HttpResponseBase

from hub.replica import reading
from hub.replica.routes import ROUTES
from hub.verified_view import SAFE
from registry.kernel import log_positions

View = Callable[..., HttpResponseBase]


class ReplicaReads:
    """Middleware, after that of sessions and before that of callers."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        mine = reading.Reading(waits_for_caller="HTTP_AUTHORIZATION" in request.META)
        reading.begin(mine)
        try:
            response = self.get_response(request)
            if request.method not in SAFE:
                _remember_write(request, mine)
            return response
        finally:
            reading.begin(None)

    def process_view(
        self, request: HttpRequest, view: View, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponseBase | None:
        """Answer in place of Django, with the same view, where the route may read from a replica."""
        match, mine = request.resolver_match, reading.current()
        if mine is None or request.method not in SAFE or match is None or match.view_name not in ROUTES:
            return None
        mine.user = _signed_in(request)
        mine.is_open = True
        try:
            response = view(request, *args, **kwargs)
        except DatabaseError:
            if not mine.has_failed:
                raise
        finally:
            mine.is_open = False
        if mine.has_failed:  # once more, from the primary: nobody notices that a replica died
            mine.alias = DEFAULT_DB_ALIAS
            response = view(request, *args, **kwargs)
        return response


def _remember_write(request: HttpRequest, mine: reading.Reading) -> None:
    """Let the person read from a replica again when it has replayed what they wrote."""
    for user in {mine.user, _signed_in(request)}:
        if user is not None:
            log_positions.remember(log_positions.of_person(user))


def _signed_in(request: HttpRequest) -> int | None:
    return request.user.pk if request.user.is_authenticated else None
