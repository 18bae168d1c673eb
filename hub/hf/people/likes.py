"""Likes of one repository."""

from django.http import HttpRequest, HttpResponse

from hub.answers import answer
from hub.hf.dialect import Route
from hub.hf.lists import paged
from hub.hf.people.users import user
from registry.talk import social


class OneLike(Route):
    """POST and DELETE /api/models/{id}/like"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name)
        social.like(repository, self.caller)
        return answer({"likes": repository.likes})

    def delete(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name)
        social.unlike(repository, self.caller)
        return answer({"likes": repository.likes})


class Likers(Route):
    """GET /api/models/{id}/likers"""

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        return paged(request, social.likers(self.repository(ns, name)), lambda row: user(request, row.user))
