"""Request bodies with their limits and refusals, pages of rows with the Link header, and answers of a base model."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict

from hub.addresses import origin, raw_path
from hub.answers import answer
from hub.hf import shapes
from hub.hf.shapes import JSON
from hub.server import request_bodies
from registry.kernel.errors import CommitInvalid, LengthRequired, PushTooLarge, ValueInvalid
from registry.kernel.texts import cursors, names
from registry.models import Base, Revision
from registry.repos import bases
from registry.repos.contents import facts

MAX_JSON = 4 << 20
MAX_PARTS = 50_000  # objects and lists in a body: each takes 2 bytes to send, and about 100 in memory
MAX_FORM_FIELDS = 10_000
MAX_BLANK = 1_000  # empty lines of a commit: a million of them are a megabyte to send, and a second of CPU
MAX_DRAINED = 256 << 20
_TRUE = frozenset({"1", "true", "yes"})


JsonObject = dict[str, object]  # as a client sent it: `text`, `whole`, `objects` and `strings` check its members


def declared_length(request: HttpRequest) -> int:
    """Return the Content-Length. Raises LengthRequired: Django takes a chunked body without one for empty."""
    text = request.META.get("CONTENT_LENGTH") or ""
    if not text.isdigit():
        if request.META.get("HTTP_TRANSFER_ENCODING"):
            raise LengthRequired("The request has no Content-Length.")
        return 0
    return int(text)


def pieces(request: HttpRequest) -> Iterator[bytes]:
    """Yield the body in pieces of at most 1 MiB. Raises ValueInvalid when the client stops in the middle."""
    try:
        while piece := request_bodies.read(request, request_bodies.PIECE):
            yield piece
    except OSError:
        raise ValueInvalid("The body ended before its announced length.", fix="Send the request again.") from None


def drain(request: HttpRequest) -> None:
    """Read and discard the rest of a body, so that a refusal reaches the client through any proxy.

    A body over MAX_DRAINED is not drained, nor one that comes slowly: the connection breaks then.
    """
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit() and 0 < int(length) <= MAX_DRAINED:
        try:
            with request_bodies.time_limit(request):
                for _ in pieces(request):
                    pass
        except ValueInvalid:
            return


def json_object(request: HttpRequest) -> JsonObject:
    """Return the body as a JSON object; an empty body is an empty object. Raises ValueInvalid."""
    refuse_encoded(request)
    if declared_length(request) > MAX_JSON:
        raise ValueInvalid(f"The JSON body is too large; the limit is {MAX_JSON:,} bytes.", fix="Send less at a time.")
    raw = b"".join(pieces(request))
    if not raw.strip() or raw.strip() == b"null":
        return {}
    return parse_object(raw)


def parse_object(raw: bytes) -> JsonObject:
    """Return bytes as a JSON object without duplicate keys. Raises ValueInvalid."""
    if raw.count(b"{") + raw.count(b"[") > MAX_PARTS:  # those in texts count too: files come in base64
        raise ValueInvalid(
            f"The JSON body has more than {MAX_PARTS:,} objects and lists.",
            fix="Send less at a time, and files in base64.",
        )
    try:
        # Decoded here: json would take UTF-16 and UTF-32 too, in which a line ends elsewhere, and NaN.
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueInvalid(f"This is not valid JSON: {error}.", fix="Send one JSON object.") from None
    if not isinstance(value, dict):
        raise ValueInvalid("The body is JSON, but not an object.", fix="Send one JSON object.")
    return value


def refuse_encoded(request: HttpRequest) -> None:
    """Raise ValueInvalid for a compressed body: a few bytes could unpack to any number."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ValueInvalid("Compressed request bodies are not accepted.", fix="Send the body without Content-Encoding.")


def form_or_json(request: HttpRequest) -> tuple[list[str], bool]:
    """Return (paths, expand) of a paths-info question: a form from Python, JSON from JavaScript."""
    if (request.content_type or "").endswith("json"):
        body = json_object(request)
        return strings(body, "paths"), truth(body.get("expand"))
    if declared_length(request) > MAX_JSON:
        raise ValueInvalid(
            f"The form is too large; the limit is {MAX_JSON:,} bytes.", fix="Request fewer paths at a time."
        )
    text = b"".join(pieces(request)).decode("utf-8", "replace")
    if text.count("&") > MAX_FORM_FIELDS:
        raise ValueInvalid(f"Too many paths; the limit is {MAX_FORM_FIELDS:,}.", fix="Request fewer paths at a time.")
    form = parse_qs(text, keep_blank_values=True)  # a QueryDict would refuse what is fine in a form of a browser
    return form.get("paths", []) + form.get("paths[]", []), truth(form.get("expand", [""])[-1])


def ndjson(request: HttpRequest, longest: int, total: int) -> Iterator[JsonObject]:
    """Yield one JSON object a line, holding one line at a time. `longest` and `total` are in bytes.

    Raises CommitInvalid for anything else, PushTooLarge past a limit, LengthRequired.
    """
    refuse_encoded(request)
    announced = declared_length(request)
    if announced > total:
        raise PushTooLarge(f"The commit announces {announced:,} bytes; the limit is {total:,}.")
    seen = blank = 0
    for line, size in _lines(request, longest):
        seen += size
        if line.strip():
            yield _line(line)
        elif (blank := blank + 1) > MAX_BLANK:
            raise CommitInvalid(f"The commit holds more than {MAX_BLANK:,} empty lines.")
    if seen != announced:
        raise CommitInvalid(f"The commit ended after {seen:,} of {announced:,} bytes.")


def _lines(request: HttpRequest, longest: int) -> Iterator[tuple[bytes, int]]:
    rest = bytearray()
    for piece in pieces(request):
        scanned = len(rest)
        rest += piece
        while (end := rest.find(b"\n", scanned)) >= 0:
            _check_line(end, longest)
            yield bytes(rest[:end]), end + 1
            del rest[: end + 1]
            scanned = 0
        _check_line(len(rest), longest)
    if rest:
        yield bytes(rest), len(rest)


def _check_line(length: int, longest: int) -> None:
    if length > longest:
        raise PushTooLarge(
            f"A line of the commit is longer than {longest:,} bytes.", fix="Push large files with LFS or Xet."
        )


def _line(raw: bytes) -> JsonObject:
    try:
        return parse_object(raw)
    except ValueInvalid as error:
        raise CommitInvalid(f"A line of the commit cannot be read: {error.detail}") from None


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key appears twice")
    return members


# --- members ---------------------------------------------------------------------------------------------------------
def text(body: JsonObject, key: str, default: str | None = None) -> str:
    """Return a string member. Raises ValueInvalid when it is missing (without a default) or something else."""
    value = body.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise ValueInvalid(f"{key!r} must be a string.", fix=f"Send {key!r} as a JSON string.")
    refuse_unstorable(value, key)
    return value


def refuse_unstorable(value: str, key: str) -> None:
    """Raise ValueInvalid for text that no column of PostgreSQL takes: a NUL, or half a surrogate pair."""
    if not names.is_storable(value):
        raise ValueInvalid(f"{key!r} contains a NUL character or half a surrogate pair.", fix="Send plain text.")


def path(body: JsonObject) -> str:
    """Return the member `path`, which names.check_path validates later. Raises ValueInvalid for no string."""
    value = body.get("path")
    if not isinstance(value, str):
        raise ValueInvalid("'path' must be a string.", fix="Send 'path' as a JSON string.")
    return value


def whole(body: JsonObject, key: str) -> int:
    """Return a whole number from 0 to 2^63 - 1. Raises ValueInvalid."""
    value = body.get(key)
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueInvalid(f"{key!r} must be a whole number of at least 0.", fix=f"Send {key!r} as a JSON number.")
    return value


def objects(body: JsonObject, key: str) -> list[JsonObject]:
    """Return a member that is a list of objects. Raises ValueInvalid."""
    value = body.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueInvalid(f"{key!r} must be a list of objects.", fix=f"Send {key!r} as a JSON array.")
    return value


def strings(body: JsonObject, key: str, *, storable: bool = True) -> list[str]:
    """Return a member that is a string or a list of strings. Raises ValueInvalid, also for what is not storable."""
    value = body.get(key)
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueInvalid(f"{key!r} must be a list of strings.", fix=f"Send {key!r} as a JSON array.")
    for item in value if storable else ():
        refuse_unstorable(item, key)
    return value


def truth(value: object) -> bool:
    """Parse a boolean: clients send true, True, 1 or a JSON boolean."""
    return str(value).lower() in _TRUE


def whole_in(query: QueryDict, key: str, default: int, most: int, *, least: int = 1) -> int:
    """Return a number of a query, from `least` to `most`. Raises ValueInvalid."""
    value = query.get(key) or str(default)
    if not value.isdecimal() or len(value) > 18:
        raise ValueInvalid(f"{key!r} must be a whole number, not {value[:40]!r}.", fix=f"Leave {key!r} out.")
    return max(least, min(int(value), most))


def next_page(request: HttpRequest, **changed: str) -> str:
    """Return the Link header of the next page: absolute, with every filter of this one."""
    query = request.GET.copy()
    for key, value in changed.items():
        query[key] = value
    return f'<{origin(request)}{raw_path(request)}?{query.urlencode()}>; rel="next"'


PAGE, LONGEST = 100, 500


def paged(request: HttpRequest, rows: QuerySet[Any], shape: Callable[[Any], JSON]) -> HttpResponse:
    """Return one page of rows, each as `shape` makes it. Raises ValueInvalid for a cursor that is not ours."""
    limit = whole_in(request.GET, "limit", PAGE, LONGEST)
    page = cursors.newest_first(rows, cursors.row_id(request.GET.get("cursor", "")), limit)
    response = answer([shape(row) for row in page.items])
    if page.next:
        response["Link"] = next_page(request, cursor=page.next, limit=str(limit))
    return response


def base_info(request: HttpRequest, base: Base) -> JSON:
    """Return everything about a base, as about a repository; its config says what loads it."""
    repository, revision = bases.as_repository(base)
    with_blobs = truth(request.GET.get("blobs"))
    entries = bases.entries(base)
    described = facts.read_available_facts(entries, repository.type)
    item = shapes.info(repository, revision, entries, {}, described, with_blobs)
    config = {key: base.config[key] for key in ("architectures", "model_type") if key in base.config}
    ids = {"_id": base.sha256[:24], "id": base.id, "modelId": base.id}
    return item | ids | {"config": config, "tags": repository.tags, "library_name": "transformers", "xetEnabled": False}


def base_refs(base: Base) -> JSON:
    """Return the branches of a base: main alone."""
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": bases.oid_of(base)}
    return {"branches": [main], "tags": [], "converts": []}


def base_revision(base: Base, rev: str) -> Revision:
    """Return the one version of a base, which is no row. Raises RevisionNotFound for any other name."""
    bases.check_revision(base, rev)
    return bases.as_repository(base)[1]
