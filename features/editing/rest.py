"""Repairs in our REST: the repaired config or weights, or the files without private data, as a pull request."""

from django.urls import path
from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers.adapters import Repaired
from features.editing import verbs
from hub.api import pages
from hub.api.records import operation
from hub.api.views import View
from registry.kernel.policy import Permission
from registry.kernel.texts.phrases import absolute
from registry.repos import lookup


class RepairBody(s.Serializer[pages.Data]):
    base = pages.Text(
        required=False, allow_blank=True, default="", max_length=200, help_text="where it fits several: which is meant"
    )
    privacy = s.BooleanField(required=False, default=False, help_text="true: remove private data, and nothing else")


class Repair(View):
    @operation("repair", body=RepairBody, answers={201: Repaired, 200: Repaired})
    def post(self, request: Request, ns: str, name: str) -> Response:
        """Propose what repairs an adapter.

        Opens a pull request in your name. Weights that are all there, under the names of a wrapper or in several files,
        are saved as PEFT looks for them. Else it names the base: where the config holds a path or nothing and the
        tensors fit one base, or another name of a base. Where neither is to be done, or with `privacy`, it removes what
        `privacy.*` found: tokens, keys, addresses, home folders, state of the training. 200 where it is open already.
        """
        pages.parameters(request, pages.Nothing)
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.BROWSE)
        asked = pages.body(request, RepairBody)
        repair = verbs.propose(repository, self.caller, asked["base"], only_privacy=asked["privacy"])
        answer = Repaired(
            adapter=repository.full_name,
            base=repair.base,
            number=repair.discussion.number,
            title=repair.discussion.title,
            url=absolute(repair.discussion.get_absolute_url()),
            revision=repair.revision.oid,
        )
        return Response(answer, status.HTTP_201_CREATED if repair.is_new else status.HTTP_200_OK)


REST = [path("adapters/<str:ns>/<str:name>/repair", Repair.as_view(), name="rest-repair")]
