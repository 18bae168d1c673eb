"""The questions of a gate over REST, for programs that ask for access."""

from typing import Annotated

from django.urls import path
from rest_framework.request import Request

from dovetail.answers.record import Answer, OneOf
from features.gate_questions.verbs import KINDS, questions_of
from hub.api import pages
from hub.api.records import operation
from hub.api.views import View
from registry.kernel.policy import Permission
from registry.repos import lookup


class GateQuestion(Answer):
    name: Annotated[str, "the key of its answer"]
    type: Annotated[str, OneOf(*KINDS)]
    options: Annotated[tuple[str, ...], "the answers to choose from; none of a free one"]


class GateQuestions(Answer):
    heading: str
    prompt: str
    questions: tuple[GateQuestion, ...]


class Questions(View):
    @operation("gate_questions", callers="anyone")
    def get(self, request: Request, ns: str, name: str) -> GateQuestions:
        """The questions that the owner puts to people who want the files."""
        pages.parameters(request, pages.Nothing)
        asked = questions_of(lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE))
        fields = (
            GateQuestion(name=one.name, type=one.kind, options=tuple(value for value, _label in one.options))
            for one in asked.fields
        )
        return GateQuestions(heading=asked.heading, prompt=asked.prompt, questions=tuple(fields))


REST = [path("adapters/<str:ns>/<str:name>/access/questions", Questions.as_view(), name="rest-gate-questions")]
