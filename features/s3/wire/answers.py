"""The dialect of S3: its XML, and its codes for our refusals."""

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from features.s3 import access_keys
from features.s3.wire import signatures
from features.s3.wire.signatures import SignatureProblem
from hub.dialects import DialectView, Refused
from hub.errors import http_form, in_full
from hub.identity import caller_of
from registry.kernel import audit, errors
from registry.kernel.errors import RegistryError
from registry.kernel.policy import NOBODY, Caller

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
STATUS = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "AuthorizationQueryParametersError": 400,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidRange": 416,
    "InvalidRequest": 400,
    "MethodNotAllowed": 405,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
    "XAmzContentSHA256Mismatch": 400,
}
CODES: dict[type[RegistryError], str] = {
    errors.TokenInvalid: "InvalidAccessKeyId",
    errors.TooOften: "SlowDown",
    errors.StoreUnavailable: "ServiceUnavailable",
    errors.FileNotSearched: "ServiceUnavailable",
    errors.NotSupported: "NotImplemented",
    errors.ValueInvalid: "InvalidArgument",
}
MISSING = (errors.RepositoryNotFound, errors.RevisionNotFound, errors.FileNotFound)
Fields = Iterable[tuple[str, Any]]


def xml(root: str, fields: Fields, status: int = 200, *, namespace: str = NAMESPACE) -> HttpResponse:
    """Return an XML answer; a value is a text, or the fields of an element inside."""
    element = ElementTree.Element(root, {"xmlns": namespace} if namespace else {})
    _fill(element, fields)
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(element)
    response = HttpResponse(body, status=status, content_type="application/xml")
    response["Content-Length"] = str(len(body))
    response["Cache-Control"] = "private, no-store"
    return response


def _fill(element: ElementTree.Element, fields: Fields) -> None:
    for name, value in fields:
        child = ElementTree.SubElement(element, name)
        if isinstance(value, str):
            child.text = value
        else:
            _fill(child, value)


def problem(request: HttpRequest, code: str, message: str, reason: str = "") -> HttpResponse:
    """Return an error as S3 words it; `reason` is our own code of it."""
    fields = [("Code", code), ("Message", message), ("Resource", request.path)]
    response = xml("Error", [*fields, ("Reason", reason)] if reason else fields, STATUS[code], namespace="")
    response.refusal = reason or code, message  # type: ignore[attr-defined]  # for the log
    return response


def refused(request: HttpRequest, code: str, message: str) -> Refused:
    """Return an error to be raised."""
    return Refused(problem(request, code, message))


class S3Door(DialectView):
    """One S3 route. A signature says who asks, or a token in its place; cookies count for nothing."""

    def identify(self, request: HttpRequest) -> Caller:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if header and not header.startswith("AWS"):
            return caller_of(request)
        try:
            signature = signatures.read_signature(request)
        except SignatureProblem as malformed:
            raise refused(request, malformed.code, malformed.message) from None
        if signature is None:
            return NOBODY
        caller = access_keys.caller_of(
            signature.key_id, lambda secret: signatures.is_signed_with(request, signature, secret)
        )
        if caller is None:
            raise refused(request, "SignatureDoesNotMatch", "The signature is not that of this request and this key.")
        audit.credential.set(f"token:{caller.token.name}" if caller.token else "")
        return caller

    def refuse(self, error: RegistryError) -> HttpResponseBase:
        if isinstance(error, MISSING):
            return problem(self.request, "NoSuchKey", "There is no such object, or you may not see it.")
        code = CODES.get(type(error), "AccessDenied")
        detail, fix = in_full(error.detail, self.request), in_full(error.fix, self.request)
        response = problem(self.request, code, f"{detail} {fix}".strip(), error.code)
        if seconds := http_form(error).retry_seconds:
            response["Retry-After"] = str(seconds)
        return response

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = problem(request, "MethodNotAllowed", "By S3 this hub is read-only. Push with `hf upload`.")
        response["Allow"] = "GET, HEAD"
        return response
