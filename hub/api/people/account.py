"""The caller's own account and tokens."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.people import account as shapes
from hub.origin import origin
from registry.kernel.errors import NotAllowed
from registry.kernel.limits import usage
from registry.models import Namespace
from registry.people.tokens import s3_keys, tokens


class Me(View):
    @extend_schema(
        operation_id="me", summary="Who is asking",
        description="With a fine-grained token without e-mail address and organisations.", responses=shapes.Me,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        user, is_whole = self.person(), not self.caller.is_fine_grained  # what a token for CI must not give away
        rows = user.memberships.select_related("organization__namespace").order_by("organization__namespace__name")
        return Response(
            {
                "name": user.username,
                "full_name": user.full_name,
                "email": user.email if is_whole else "",
                "role": user.role,
                "organizations": [{"name": str(row.organization), "role": row.role} for row in rows if is_whole],
                "usage": {"bytes": (held := usage.usage_of(user.namespace)).bytes, "limit": held.limit or None},
                "token": shapes.Token(self.caller.token).data if self.caller.token else None,
            }
        )


class OwnUsage(View):
    @extend_schema(
        operation_id="own_usage", summary="What the caller's own repositories hold of the quota",
        description="Not with a fine-grained token, which must not tell what else there is.",
        responses=shapes.UsageInFull,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        user = self.person()
        if self.caller.is_fine_grained:
            raise NotAllowed("A fine-grained token does not see what the account holds.")
        return Response(usage_in_full(user.namespace))


def usage_in_full(namespace: Namespace) -> Data:
    """Return what a namespace holds, as UsageInFull describes it."""
    held = usage.usage_of(namespace)
    return {
        "bytes": held.bytes,
        "limit": held.limit or None,
        "binned_bytes": held.binned_bytes,
        "repositories": held.repositories,
        "repository_limit": held.repository_limit or None,
        "largest": [
            {"type": row.type, "name": row.name, "bytes": row.stored_bytes, "in_bin": row.is_binned}
            for row in usage.by_repository(namespace)
        ],
    }


class Tokens(View):
    @extend_schema(
        operation_id="tokens", summary="The caller's tokens",
        description="From a session; a token is shown itself alone.", responses=shapes.TokenPage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        self.person()
        return Response({"items": shapes.Token(tokens.list_tokens(self.caller), many=True).data, "next": None})

    @extend_schema(
        operation_id="make_token", summary="Make a token",
        description="From a session only. The value is in this answer and nowhere else.",
        request=shapes.NewToken, responses={201: shapes.MadeToken},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        user = self.person_in_session("Making a token")
        wish = pages.body(request, shapes.NewToken)
        value = tokens.create_token(
            user, wish["name"], wish["role"],
            expires_at=wish.get("expires_at"), grants=wish.get("repos"),
        )  # fmt: skip
        token = shapes.Token(user.tokens.get(sha256=tokens.digest(value))).data
        return Response({**token, "value": value}, status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class OwnS3Key(View):
    @extend_schema(
        operation_id="s3_key", summary="The S3 key of the token that asks",
        description="By token only. The key is computed from the token, reads what the token reads, and ends with it.",
        responses=shapes.S3Key,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        self.person()
        if self.caller.token is None:
            raise NotAllowed("A session has no S3 key.", fix="Send a token as `Authorization: Bearer …`.")
        key = s3_keys.key_of(self.caller.token)
        answer = {"access_key_id": key.id, "secret_access_key": key.secret, "endpoint_url": f"{origin(request)}/s3"}
        return Response(answer, headers={"Cache-Control": "no-store"})


class OneToken(View):
    @extend_schema(operation_id="token", summary="One of the caller's tokens", responses=shapes.Token)
    def get(self, request: Request, id: int) -> Response:
        self.person()
        return Response(shapes.Token(tokens.get_token(self.caller, id)).data)

    @extend_schema(
        operation_id="revoke_token", summary="Revoke a token", description="From a session only.", responses={204: None}
    )
    def delete(self, request: Request, id: int) -> Response:
        tokens.revoke_token(self.person_in_session("Revoking a token"), id)
        return Response(status=status.HTTP_204_NO_CONTENT)
