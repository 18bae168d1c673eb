"""Signature Version 4 of S3 requests, in the Authorization header or in the query: parsing and comparing.

No library does this for servers without bringing a whole SDK. The canonical form is computed from the raw path and the
raw query, since WSGI's own have lost what was encoded.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote_to_bytes

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from hub.addresses import mounted_below, raw_path
from hub.server.proxies import client_of

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)
LONGEST_SECONDS = 7 * 24 * 3600  # of a presigned address
EMPTY_SHA256 = hashlib.sha256().hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
_TIME = "%Y%m%dT%H%M%SZ"
_HEADER = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")
_SCOPE = re.compile(r"([^/]{1,128})/(\d{8})/([^/]{1,64})/s3/aws4_request")
_NAMES = re.compile(r"[a-z0-9-]+(?:;[a-z0-9-]+)*")
_SENT_PATH = "dovetail.s3_path"  # in META, where no header of a request can be


class OwnHost:
    """Middleware: leads DOVETAIL_S3_HOST to the routes below /s3, and BUCKET.DOVETAIL_S3_HOST to those of the bucket.

    No page is on that host, so it isn't among the hosts that links are made for.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        bucket = next((found for host in _hosts(request) if (found := _bucket_of(host)) is not None), None)
        if bucket is not None:
            path = raw_path(request)
            before = f"/s3/{bucket}" if bucket else "/s3"
            request.META |= {_SENT_PATH: path, "RAW_URI": before + path}
            request.path_info = before + request.path_info
        return self.get_response(request)


def _bucket_of(host: str) -> str | None:
    """Return the bucket that a host of S3 names, "" if none; None for other hosts."""
    name = host.lower() if ":" in settings.S3_HOST else host.lower().rpartition(":")[0] or host.lower()
    if name == settings.S3_HOST:
        return ""
    before = name.removesuffix(f".{settings.S3_HOST}")
    return before if before != name and "/" not in before else None


class SignatureProblem(Exception):
    """A signature that cannot be valid: the code and the sentence of S3 for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as a request carries it."""

    key_id: str
    scope: str  # day/region/s3/aws4_request
    signed_headers: tuple[str, ...]
    value: str
    time: str  # as the client wrote it, in the form of _TIME
    payload: str
    is_in_query: bool


def query_of(request: HttpRequest) -> list[tuple[str, str]]:
    """Return the pairs of the query, decoded; a plus is a plus, as in signatures."""
    return [(_text(name), _text(value)) for name, value in _raw_query(request)]


def read_signature(request: HttpRequest) -> Signature | None:
    """Return the signature of a request, None for one without. Raises SignatureProblem."""
    header, query = request.META.get("HTTP_AUTHORIZATION", ""), dict(reversed(query_of(request)))
    is_presigned = "X-Amz-Algorithm" in query or "X-Amz-Signature" in query
    if header and is_presigned:
        raise SignatureProblem("InvalidArgument", "Only one way to sign is allowed: the header, or the query.")
    if is_presigned:
        return _in_query(query)
    if header:
        return _in_header(request, header)
    if "AWSAccessKeyId" in query:
        raise _other_algorithm()
    return None


def is_signed_with(request: HttpRequest, signature: Signature, secret: str) -> bool:
    """Return whether this secret made the signature of the request; the comparison takes constant time."""
    key = f"AWS4{secret}".encode()
    for part in signature.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    is_valid = False
    for host in _hosts(request):
        canonical = hashlib.sha256(_canonical(request, signature, host)).hexdigest()
        text = "\n".join((ALGORITHM, signature.time, signature.scope, canonical))
        expected = hmac.digest(key, text.encode(), "sha256").hex()
        is_valid |= hmac.compare_digest(expected.encode(), signature.value.encode())
    return is_valid


# --- parsing ---------------------------------------------------------------------------------------------------------
def _in_header(request: HttpRequest, header: str) -> Signature:
    algorithm, _, rest = header.partition(" ")
    if algorithm != ALGORITHM:
        raise _other_algorithm()
    fields = dict(_HEADER.findall(rest))
    time = _time_in_headers(request)
    payload = request.META.get("HTTP_X_AMZ_CONTENT_SHA256", EMPTY_SHA256)
    signature = _parsed(
        fields.get("Credential", ""), fields.get("SignedHeaders", ""), fields.get("Signature", ""), time, payload
    )
    is_dated = {"x-amz-date", "date"} & set(signature.signed_headers)
    if not is_dated:
        raise _malformed("The date of the request is not signed.")
    if abs(timezone.now() - _parse_time(time)) > SKEW:
        raise SignatureProblem("RequestTimeTooSkewed", "The clock of the client and that of this hub differ too much.")
    if payload not in (UNSIGNED, EMPTY_SHA256) and request.META.get("CONTENT_LENGTH") in (None, "", "0"):
        raise SignatureProblem("XAmzContentSHA256Mismatch", "The signed digest is not that of an empty body.")
    return signature


def _in_query(query: dict[str, str]) -> Signature:
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        raise _other_algorithm()
    time, seconds = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
    signature = _parsed(
        query.get("X-Amz-Credential", ""),
        query.get("X-Amz-SignedHeaders", ""),
        query.get("X-Amz-Signature", ""),
        time,
        UNSIGNED,
        is_in_query=True,
    )
    if not re.fullmatch(r"[0-9]{1,6}", seconds) or not 0 < int(seconds) <= LONGEST_SECONDS:
        raise SignatureProblem("AuthorizationQueryParametersError", "X-Amz-Expires must be 1 to 604800 seconds.")
    age = timezone.now() - _parse_time(time)
    if age < -SKEW:
        raise SignatureProblem("AccessDenied", "This address is not valid yet.")
    if age > timedelta(seconds=int(seconds)):
        raise SignatureProblem("AccessDenied", "This address has expired.")
    return signature


def _parsed(
    credential: str, names: str, value: str, time: str, payload: str, *, is_in_query: bool = False
) -> Signature:
    scope = _SCOPE.fullmatch(credential)
    if scope is None:
        raise _malformed("The credential must be ID/DAY/REGION/s3/aws4_request.")
    signed = tuple(names.split(";"))
    if not _NAMES.fullmatch(names) or "host" not in signed or list(signed) != sorted(set(signed)):
        raise _malformed("The signed headers must be in order, without doubles, and hold the host.")
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise _malformed("The signature must be 64 hex digits.")
    if _parse_time(time).strftime("%Y%m%d") != scope[2]:
        raise _malformed("The day of the credential is not that of the request.")
    return Signature(scope[1], credential.partition("/")[2], signed, value, time, payload, is_in_query)


def _time_in_headers(request: HttpRequest) -> str:
    """Return when the request was signed: by X-Amz-Date, or by Date where there is none."""
    if time := request.META.get("HTTP_X_AMZ_DATE", ""):
        return str(time)
    try:
        return parsedate_to_datetime(request.META.get("HTTP_DATE", "")).astimezone(UTC).strftime(_TIME)
    except (TypeError, ValueError, OverflowError):
        raise SignatureProblem("AccessDenied", "A signed request needs X-Amz-Date.") from None


def _parse_time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise _malformed("The time must be like 20260102T030405Z.") from None


def _malformed(message: str) -> SignatureProblem:
    return SignatureProblem("AuthorizationHeaderMalformed", message)


def _other_algorithm() -> SignatureProblem:
    return SignatureProblem("InvalidRequest", f"Sign with {ALGORITHM}: this hub knows no other way.")


# --- the canonical form ----------------------------------------------------------------------------------------------
def _canonical(request: HttpRequest, signature: Signature, host: str) -> bytes:
    pairs = [pair for pair in _raw_query(request) if not (signature.is_in_query and pair[0] == b"X-Amz-Signature")]
    query = "&".join(sorted(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs))
    headers = b"".join(b"%s:%s\n" % (name.encode(), _header(request, name, host)) for name in signature.signed_headers)
    sent = request.META.get(_SENT_PATH) or f"{mounted_below()}{raw_path(request)}"
    path = "/".join(quote(unquote_to_bytes(part), safe="") for part in sent.split("/"))
    method, names = str(request.method), ";".join(signature.signed_headers)
    return b"\n".join(
        (method.encode(), path.encode(), query.encode(), headers, names.encode(), signature.payload.encode())
    )


def _header(request: HttpRequest, name: str, host: str) -> bytes:
    """Return the value of a header, without spaces that say nothing; the server has joined doubles by commas."""
    if name == "host":
        value = host
    else:
        key = name.upper().replace("-", "_")
        value = request.META.get(key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}", "")
    return " ".join(str(value).split()).encode("latin-1", "replace")


def _hosts(request: HttpRequest) -> Iterator[str]:
    """Yield the hosts that the client may have signed: what came here, and what a trusted proxy says it was sent."""
    yield request.META.get("HTTP_HOST", "")
    if host := client_of(request).host:
        yield host


def _raw_query(request: HttpRequest) -> list[tuple[bytes, bytes]]:
    parts = (part.partition("=") for part in request.META.get("QUERY_STRING", "").split("&") if part)
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in parts]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
