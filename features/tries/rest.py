"""Tries: an adapter and its base answer a text of the caller's own, side by side."""

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.adapters import Tryout
from features.tries import models, verbs
from features.tries.verbs import MAX_NEW_TOKENS, MAX_TEXT, NEW_TOKENS
from hub.addresses import network_of
from hub.api import pages
from hub.api.pages import Data, Text, WholeNumber
from hub.api.records import of_row, operation
from hub.api.streams import Wait, wait_until
from hub.api.views import View, resolved
from registry.kernel.policy import Permission


class TryBody(s.Serializer[Data]):
    text = Text(max_length=MAX_TEXT, trim_whitespace=False, help_text="the text; of a question, the question")
    other = Text(
        required=False,
        allow_blank=True,
        default="",
        max_length=MAX_TEXT,
        trim_whitespace=False,
        help_text="a second text: the one to compare with, the other of a pair, or the text that a question is about",
    )
    new_tokens = WholeNumber(
        required=False,
        default=NEW_TOKENS,
        min_value=1,
        max_value=MAX_NEW_TOKENS,
        help_text="tokens that a model for generation writes",
    )


class Try(View):
    @operation("try_adapter", body=TryBody, status=202, example={"text": "The film was good."})
    def post(self, request: Request, ns: str, name: str, rev: str) -> Tryout:
        """Try a version with a text.

        A worker runs base and adapter on the texts, within 20 seconds of processor time; the answer is at `GET
        …/try/ID`. Only versions that passed are tried. Texts and answer are deleted after an hour, and only who asked
        reads them.
        """
        pages.parameters(request, pages.Nothing)
        revision = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        verbs.require_known(self.caller)
        wish = pages.body(request, TryBody)
        asker = verbs.asker(self.caller, network_of(request._request))
        tryout = verbs.request(revision, wish["text"], wish["other"], wish["new_tokens"], asker)
        return _answer(tryout)


class OneTry(View):
    @operation("get_try", query=Wait)
    def get(self, request: Request, ns: str, name: str, rev: str, key: str) -> Tryout:
        """The answer of a try.

        With `wait` it comes as soon as it is there.
        """
        asked = pages.parameters(request, Wait)
        revision = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        tryout = verbs.find(revision, key, self.caller)
        if asked["wait"]:
            wait_until(lambda: verbs.find(revision, key, self.caller).is_final, asked["wait"], request)
            revision = resolved(f"{ns}/{name}", revision.oid, self.viewer, Permission.DOWNLOAD)
            tryout = verbs.find(revision, key, self.caller)
        return _answer(tryout)


def _answer(tryout: models.Tryout) -> Tryout:
    """Return a try as our REST shows it; it repeats no text."""
    place = verbs.place(tryout) if tryout.state == models.Tryout.State.QUEUED else None
    return of_row(
        Tryout,
        tryout,
        id=tryout.key,
        adapter=tryout.revision.repository.full_name,
        revision=tryout.revision.oid,
        reason=tryout.reason or None,
        before=place.before if place else None,
        wait_seconds=place.seconds if place else None,
        deleted_at=tryout.asked_at + verbs.KEPT,
    )


_AT = "adapters/<str:ns>/<str:name>/revisions/<api_revision:rev>/try"
REST = [path(_AT, Try.as_view(), name="rest-try"), path(f"{_AT}/<str:key>", OneTry.as_view(), name="rest-one-try")]
