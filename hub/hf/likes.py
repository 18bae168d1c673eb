"""Likes of one repository."""

from django.http import HttpRequest, HttpResponse

from hub.answers import answer
from hub.hf.dialect import Route
from hub.hf.lists import paged
from hub.hf.users import user
from registry.talk import social


class OneLike(Route):
    """POST and DELETE /api/models/{id}/like"""

    def post(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        adapter = self.adapter(ns, name)
        social.like(adapter, self.caller)
        return answer({"likes": adapter.likes})

    def delete(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        adapter = self.adapter(ns, name)
        social.unlike(adapter, self.caller)
        return answer({"likes": adapter.likes})


class Likers(Route):
    """GET /api/models/{id}/likers"""

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        return paged(request, social.likers(self.adapter(ns, name)), lambda row: user(request, row.user))
