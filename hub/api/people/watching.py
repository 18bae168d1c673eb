"""Watching an adapter: at which level the caller does, setting it, and ending it."""

from typing import Annotated

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf
from hub.api import pages
from hub.api.pages import Data
from hub.api.records import operation
from hub.api.views import View
from registry.kernel import policy
from registry.kernel.policy import Permission
from registry.models import Repository, RepositoryWatch
from registry.repos import lookup
from registry.talk import watching


class WatchLevel(s.Serializer[Data]):
    level = s.ChoiceField(choices=RepositoryWatch.Level.choices, default="releases")


class Watched(Answer):
    adapter: str
    level: Annotated[str | None, OneOf(*RepositoryWatch.Level.values), "null: not watched"]


class Watch(View):
    @operation("watching")
    def get(self, request: Request, ns: str, name: str) -> Watched:
        """The level at which you watch."""
        pages.parameters(request, pages.Nothing)
        repository = self._browsed(ns, name)
        self.person()
        return _answer(repository, watching.level_of(self.caller, repository))

    @operation("watch", body=WatchLevel)
    def put(self, request: Request, ns: str, name: str) -> Watched:
        """Watch or ignore it."""
        pages.parameters(request, pages.Nothing)
        repository = self._browsed(ns, name)
        policy.require_person(self.caller, "watch a repository")
        body = pages.body(request, WatchLevel)
        level = body["level"]
        watching.watch(repository, level, self.caller)
        return _answer(repository, level)

    @operation("unwatch")
    def delete(self, request: Request, ns: str, name: str) -> Watched:
        """Stop watching or ignoring it."""
        pages.parameters(request, pages.Nothing)
        repository = self._browsed(ns, name)
        watching.unwatch(repository, self.caller)
        return _answer(repository, "")

    def _browsed(self, ns: str, name: str) -> Repository:
        return lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE)


def _answer(repository: Repository, level: str) -> Watched:
    return Watched(adapter=repository.full_name, level=level or None)
