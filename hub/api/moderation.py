"""Acts of moderators in a session: hold back, release, take down, suspend."""

from collections.abc import Callable
from typing import Annotated, Any

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, Time
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import operation, text_of
from hub.api.views import View
from registry.kernel.policy import Permission
from registry.moderation import quarantine, suspension
from registry.people import accounts
from registry.repos import lookup, pull


class Ruling(s.Serializer[Data]):
    reason = Text(max_length=500, help_text="the people who may write there read it")
    note = Text(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")
    revision = Text(required=False, allow_null=True, default=None, help_text="null: the whole adapter")


class Reasoned(s.Serializer[Data]):
    reason = Text(max_length=500)
    note = Text(required=False, allow_blank=True, default="", max_length=10_000, help_text="moderators read it")


class Suspension(Reasoned):
    until = s.DateTimeField(required=False, allow_null=True, default=None, help_text="null: until a moderator ends it")


class Ruled(Answer):
    adapter: str
    quarantined_at: Time | None
    changed: Annotated[bool, "false where it was so already"]


class Suspended(Answer):
    name: str
    suspended: bool
    until: Time | None
    changed: Annotated[bool, "false where it was so already"]


class Quarantine(View):
    @operation("quarantine", body=Ruling)
    def post(self, request: Request, ns: str, name: str) -> Ruled:
        """Hold an adapter back on every road."""
        return _rule(self, f"{ns}/{name}", quarantine.quarantine)


class Release(View):
    @operation("release", body=Ruling)
    def post(self, request: Request, ns: str, name: str) -> Ruled:
        """Serve a quarantined adapter again."""
        return _rule(self, f"{ns}/{name}", quarantine.release)


class TakeDown(View):
    @operation("takedown", body=Ruling)
    def post(self, request: Request, ns: str, name: str) -> Ruled:
        """Hold an adapter back for good and delete its files."""
        self.require_moderator(final=True)
        return _rule(self, f"{ns}/{name}", quarantine.take_down)


class Delete(View):
    @operation("moderation-delete", body=Reasoned)
    def post(self, request: Request, ns: str, name: str) -> Ruled:
        """Delete an adapter and everything in it."""
        self.require_moderator(final=True)
        body = pages.body(request, Reasoned)
        repository = lookup.find(f"{ns}/{name}", self.caller, Permission.QUARANTINE)
        quarantine.delete(repository, self.caller, **body)
        return Ruled(adapter=repository.full_name, quarantined_at=None, changed=True)


class Suspend(View):
    @operation("suspend", body=Suspension)
    def post(self, request: Request, name: str) -> Suspended:
        """Keep a person out."""
        self.require_moderator(final=True)
        return _suspend(self, name, suspension.suspend, Suspension)


class Unsuspend(View):
    @operation("unsuspend", body=Reasoned)
    def post(self, request: Request, name: str) -> Suspended:
        """Let a suspended person in again."""
        return _suspend(self, name, suspension.unsuspend, Reasoned)


def _rule(view: View, full_name: str, verb: Callable[..., bool]) -> Ruled:
    view.require_moderator()  # first, so that a stranger does not learn which adapters there are
    ruling: Data = pages.body(view.request, Ruling)
    repository = lookup.find(full_name, view.caller, Permission.QUARANTINE)
    revision = pull.resolve(repository, ruling["revision"]) if ruling["revision"] else None
    changed = verb(repository, view.caller, reason=ruling["reason"], note=ruling["note"], revision=revision)
    target = revision or repository
    held_at = text_of(target.quarantined_at)
    return Ruled(adapter=repository.full_name, quarantined_at=held_at, changed=changed)


def _suspend(view: View, name: str, verb: Callable[..., bool], shape: type[s.Serializer[Any]]) -> Suspended:
    view.require_moderator()
    body = pages.body(view.request, shape)
    person = accounts.get_person(name)
    changed = verb(person, view.caller, **body)
    until = text_of(person.suspended_until)
    return Suspended(name=person.username, suspended=not person.is_active, until=until, changed=changed)
