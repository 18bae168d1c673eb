"""The S3 key of a token in our REST."""

from django.conf import settings
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers.record import Answer, Url
from features.s3 import access_keys
from hub.addresses import origin
from hub.api.records import operation
from hub.api.views import View
from registry.kernel.errors import NotAllowed


class S3Key(Answer):
    """The key and the address of an S3 client."""

    access_key_id: str
    secret_access_key: str
    endpoint_url: Url


class OwnS3Key(View):
    @operation("s3_key", answers={200: S3Key}, callers="token")
    def get(self, request: Request) -> Response:
        """The S3 key of the token that asks.

        By token only. The key is computed from the token, reads what the token reads, and ends with it.
        """
        self.person()
        if self.caller.token is None:
            raise NotAllowed("A session has no S3 key.", fix="Send a token as `Authorization: Bearer …`.")
        key = access_keys.key_of(self.caller.token)
        answer = S3Key(access_key_id=key.id, secret_access_key=key.secret, endpoint_url=_endpoint(request))
        return Response(answer, headers={"Cache-Control": "no-store"})


def _endpoint(request: Request) -> str:
    here = origin(request)
    return f"{here.partition('://')[0]}://{settings.S3_HOST}" if settings.S3_HOST else f"{here}/s3"


REST = [path("me/s3-key", OwnS3Key.as_view(), name="rest-s3-key")]
