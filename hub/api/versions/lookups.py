"""Revisions by the digests of their files or of the tensors in them; of what a caller may not see, nothing is told."""

from typing import Annotated, Any

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.answers.record import Answer, RepositoryType
from dovetail.answers.versions import Yanked
from hub.api import pages
from hub.api.pages import Data
from hub.api.records import operation, yank_of
from hub.api.views import View
from registry.repos import digests
from registry.repos.digests import MAX_PLACES, Place

MAX_DIGESTS = 100


class Digest(s.RegexField):
    """A SHA-256 in hexadecimal, in any case; the answer has it in lower case."""

    def __init__(self, **options: Any) -> None:
        super().__init__(r"^[0-9A-Fa-f]{64}$", **options)
        self.error_messages["invalid"] = "Send 64 hex digits."

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise s.ValidationError(f"Send a JSON string, not {type(data).__name__}.")
        return str(super().to_internal_value(data)).lower()


class LookupBody(s.Serializer[Data]):
    """One of the two."""

    sha256 = s.ListField(child=Digest(), required=False, min_length=1, max_length=MAX_DIGESTS, help_text="of files")
    tensor_digest = s.ListField(
        child=Digest(), required=False, min_length=1, max_length=MAX_DIGESTS,
        help_text="of tensors: the same under another header",
    )  # fmt: skip

    def validate(self, attrs: Data) -> Data:
        if len(attrs) != 1:
            raise s.ValidationError("Send either sha256 or tensor_digest.")
        return attrs


class FilePlace(Answer):
    digest: Annotated[str, "the one that was asked for"]
    adapter: Annotated[str, "namespace/name"]
    type: RepositoryType
    revision: str
    path: str
    size: int
    sha256: Annotated[str, "of the file"]
    yanked: Annotated[Yanked | None, "of the revision"]


class LookupAnswer(Answer):
    items: tuple[FilePlace, ...]
    truncated: Annotated[bool, "there are more than these"]


class Lookup(View):
    @operation("lookup", body=LookupBody)
    def post(self, request: Request) -> LookupAnswer:
        """Revisions that hold a file or its tensors.

        Either `sha256` or `tensor_digest`; the newest revisions first, at most 1,000 places.
        """
        pages.parameters(request, pages.Nothing)
        given = pages.body(request, LookupBody)
        if given.get("sha256"):
            places = digests.places_of_files(given["sha256"], self.caller)
        else:
            places = digests.places_of_tensors(given["tensor_digest"], self.caller)
        items = tuple(_place(place) for place in places[:MAX_PLACES])
        return LookupAnswer(items=items, truncated=len(places) > MAX_PLACES)


def _place(place: Place) -> FilePlace:
    revision = place.file.revision
    return FilePlace(
        digest=place.digest,
        adapter=revision.repository.full_name,
        type=revision.repository.type,
        revision=revision.oid,
        path=place.file.path,
        size=place.file.size,
        sha256=place.file.blob_id,
        yanked=yank_of(revision),
    )
