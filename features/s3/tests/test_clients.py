"""S3 clients against a live hub: boto3 as everybody has it, and requests signed by its library and then bent."""

import io
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from huggingface_hub import HfApi

from tests.live import TOKENS, Hub

pytestmark = pytest.mark.merge

NAMES = ("acme/s3-open", "acme/s3-shut")
ODD = "sub dir/a+b & ü=%2F.json"
WEIGHTS = os.urandom(200_000)


@dataclass
class Keys:
    """Clients of one hub, each signing as somebody."""

    hub: Hub
    config: Config

    def credentials(self, who: str) -> dict[str, str]:
        asked = urllib.request.Request(
            f"{self.hub.url}/api/v1/me/s3-key", headers={"Authorization": f"Bearer {TOKENS[who]}"}
        )
        with urllib.request.urlopen(asked) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            key = json.load(answer)
        assert key.pop("endpoint_url") == f"{self.hub.url}/s3"
        return {f"aws_{name}": value for name, value in key.items()}

    def client(self, who: str):
        config = self.config if who else self.config.merge(Config(signature_version=UNSIGNED))
        signed = self.credentials(who) if who else {}
        return boto3.client(
            "s3", endpoint_url=f"{self.hub.url}/s3", region_name="mars-north-1", config=config, **signed
        )


@pytest.fixture(scope="module")
def keys(live_hub: Hub) -> Keys:
    """A public and a private repository with odd names in them."""
    api = HfApi(endpoint=live_hub.url, token=TOKENS["alice"])
    for full_name in NAMES:
        api.create_repo(full_name, private="shut" in full_name)
        api.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="adapter_model.safetensors", repo_id=full_name)
        api.upload_file(path_or_fileobj=b"odd", path_in_repo=ODD, repo_id=full_name)
        api.create_branch(full_name, branch="feature/x")
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    return Keys(live_hub, config)


def code_of(call) -> str:
    with pytest.raises(ClientError) as refusal:
        call()
    return refusal.value.response["Error"]["Code"]


def listed(s3, **what) -> list[str]:
    page = s3.list_objects_v2(**{"Bucket": "hub", **what})
    return [
        *(each["Prefix"] for each in page.get("CommonPrefixes", [])),
        *(each["Key"] for each in page.get("Contents", [])),
    ]


def test_boto3_lists_and_reads_what_the_caller_may_read(keys):
    alice, carol, nobody = keys.client("alice"), keys.client("carol"), keys.client("")
    assert [bucket["Name"] for bucket in alice.list_buckets()["Buckets"]] == ["hub"]
    for who, expected in (
        (alice, {"acme/s3-open/", "acme/s3-shut/"}),
        (carol, {"acme/s3-open/"}),
        (nobody, {"acme/s3-open/"}),
    ):
        assert set(listed(who, Prefix="acme/s3-", Delimiter="/")) == expected
        assert set(listed(who, Bucket="acme", Prefix="s3-", Delimiter="/")) == {name[5:] for name in expected}
    below = ["acme/s3-open/feature/", "acme/s3-open/main/"]
    assert listed(nobody, Prefix="acme/s3-open/", Delimiter="/") == below
    files = [".gitattributes", "adapter_model.safetensors", ODD]
    for rev in ("main", "feature/x", "HEAD"):
        assert listed(nobody, Prefix=f"acme/s3-open/{rev}/") == [f"acme/s3-open/{rev}/{path}" for path in files]
    for who in (carol, nobody):
        assert listed(who, Prefix="acme/s3-shut/main/") == listed(who, Prefix="acme/s3-never/main/") == []
        for name in ("s3-shut", "s3-never"):
            assert (
                code_of(lambda name=name, who=who: who.get_object(Bucket="acme", Key=f"{name}/main/{ODD}"))
                == "NoSuchKey"
            )
    assert alice.get_object(Bucket="hub", Key=f"acme/s3-shut/feature/x/{ODD}")["Body"].read() == b"odd"
    target = io.BytesIO()
    nobody.download_fileobj("hub", "acme/s3-open/main/adapter_model.safetensors", target)
    assert target.getvalue() == WEIGHTS


def test_pages_of_a_list_are_the_whole_list_in_order(keys):
    alice = keys.client("alice")
    ours = {"Prefix": "acme/s3-"}  # others of this run push to the same hub
    whole = listed(alice, **ours)
    assert whole == sorted(whole)
    assert len(whole) == 2 * 2 * 3
    for size in (1, 2, 5):
        for extra in (ours, ours | {"Delimiter": "/"}, ours | {"Delimiter": "-"}, {"Prefix": "acme/s3-open/"}):
            pages = alice.get_paginator("list_objects_v2").paginate(
                Bucket="hub", PaginationConfig={"PageSize": size}, **extra
            )
            walked = [
                name
                for page in pages
                for name in [
                    *(p["Prefix"] for p in page.get("CommonPrefixes", [])),
                    *(c["Key"] for c in page.get("Contents", [])),
                ]
            ]
            assert sorted(walked) == sorted(listed(alice, **extra)), (size, extra)
    after = "acme/s3-open/main/adapter_model.safetensors"
    assert listed(alice, StartAfter=after, Prefix="acme/s3-open/") == [f"acme/s3-open/main/{ODD}"]
    old = alice.list_objects(Bucket="hub", Prefix="acme/s3-open/main/", MaxKeys=2)
    assert (len(old["Contents"]), old["IsTruncated"]) == (2, True)
    rest = alice.list_objects(Bucket="hub", Prefix="acme/s3-open/main/", Marker=old["NextMarker"])
    assert [each["Key"] for each in rest["Contents"]] == [f"acme/s3-open/main/{ODD}"]


def test_ranges_and_conditions_are_those_of_s3(keys):
    s3, place = keys.client("alice"), {"Bucket": "hub", "Key": "acme/s3-open/main/adapter_model.safetensors"}
    head = s3.head_object(**place, ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ChecksumType"]) == (200_000, "FULL_OBJECT")
    part = s3.get_object(**place, Range="bytes=10-19")
    assert (part["Body"].read(), part["ContentRange"]) == (WEIGHTS[10:20], "bytes 10-19/200000")
    assert code_of(lambda: s3.get_object(**place, Range="bytes=200000-")) == "InvalidRange"
    etag, changed = head["ETag"], head["LastModified"]
    assert s3.get_object(**place, IfMatch=etag)["Body"].read() == WEIGHTS
    assert code_of(lambda: s3.get_object(**place, IfMatch='"x"')) == "PreconditionFailed"
    assert code_of(lambda: s3.get_object(**place, IfUnmodifiedSince=changed - timedelta(1))) == "PreconditionFailed"
    assert code_of(lambda: s3.get_object(**place, IfNoneMatch=etag)) == "304"
    assert code_of(lambda: s3.get_object(**place, IfModifiedSince=changed)) == "304"
    assert s3.get_object(**place, IfModifiedSince=changed - timedelta(1))["ContentLength"] == 200_000


def test_nothing_is_written_and_nothing_unknown_is_answered(keys):
    s3, place = keys.client("alice"), {"Bucket": "hub", "Key": f"acme/s3-open/main/{ODD}"}
    assert code_of(lambda: s3.put_object(**place, Body=b"x" * 100_000)) == "MethodNotAllowed"
    assert code_of(lambda: s3.delete_object(**place)) == "MethodNotAllowed"
    assert code_of(lambda: s3.create_multipart_upload(**place)) == "MethodNotAllowed"
    assert code_of(lambda: s3.create_bucket(Bucket="mine")) == "MethodNotAllowed"
    assert code_of(lambda: s3.delete_objects(Bucket="hub", Delete={"Objects": [{"Key": "x"}]})) == "MethodNotAllowed"
    assert code_of(lambda: s3.get_bucket_policy(Bucket="hub")) == "NotImplemented"
    assert code_of(lambda: s3.list_objects_v2(Bucket="nobody-is-here")) == "NoSuchBucket"
    assert code_of(lambda: s3.list_objects_v2(Bucket="hub", ContinuationToken="\xff")) == "InvalidArgument"
    assert s3.get_object(**place)["Body"].read() == b"odd"


@pytest.mark.parametrize(
    ("path", "method"), [("/s3/hub/x", "PUT"), ("/v2/x/blobs/uploads/", "POST"), ("/api/v1/x", "PUT")]
)
@pytest.mark.parametrize(("size", "is_closed"), [(60_000, False), (200_000, True)])
def test_a_connection_that_closes_says_so(keys, path, method, size, is_closed):
    """gunicorn closes a connection with 64 KiB of unread body, and a client must not send another request into it."""
    connection = HTTPConnection(urlsplit(keys.hub.url).netloc, timeout=30)
    connection.request(method, path, body=b"x" * size)
    with connection.getresponse() as answer:
        answer.read()
        assert (answer.status >= 400, answer.will_close) == (True, is_closed)
    connection.request("GET", "/livez")  # http.client opens another one where it knows that the first is closed
    assert connection.getresponse().status == 200


def test_presigned_addresses_read_one_object_for_a_while(keys):
    s3, place = keys.client("alice"), {"Bucket": "hub", "Key": f"acme/s3-shut/main/{ODD}"}
    url = s3.generate_presigned_url("get_object", Params=place, ExpiresIn=60)
    with urllib.request.urlopen(url) as answer:
        assert (answer.read(), answer.headers["X-Content-Type-Options"]) == (b"odd", "nosniff")
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    for bent in (url.replace("s3-shut", "s3-open"), url.replace("Expires=60", "Expires=61"), f"{url}&x=", url + "0"):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(bent)
        assert refusal.value.code in {400, 403}
    old = f"{url.partition('?')[0]}?AWSAccessKeyId=DVT&Signature=x&Expires=9999999999"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(old)
    assert b"AWS4-HMAC-SHA256" in refusal.value.read()


# --- by hand ---------------------------------------------------------------------------------------------------------
def signed(
    keys: Keys,
    path: str,
    who: str = "alice",
    *,
    auth=S3SigV4Auth,
    headers=None,
    secret: str = "",
    at=None,
    service="s3",
) -> AWSRequest:
    """Return a request signed by botocore for a path as it goes over the wire."""
    given = keys.credentials(who)
    credentials = Credentials(given["aws_access_key_id"], secret or given["aws_secret_access_key"])
    request = AWSRequest("GET", f"{keys.hub.url}{path}", headers=headers or {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: at or datetime.now(UTC))
        auth(credentials, service, "eu-1").add_auth(request)
    return request


def send(request: AWSRequest, *more: tuple[str, str], path: str = "") -> tuple[int, str]:
    """Send it byte for byte; return the status and S3's code, or the body."""
    parts = urlsplit(request.url)
    line = HTTPConnection(parts.netloc)
    line.putrequest("GET", path or (parts.path + (f"?{parts.query}" if parts.query else "")), skip_accept_encoding=True)
    for name, value in [*request.headers.items(), *more]:
        line.putheader(name, value)
    line.endheaders()
    answer = line.getresponse()
    body = answer.read().decode()
    line.close()
    return answer.status, body.partition("<Code>")[2].partition("<")[0] or body


FILE = "/s3/hub/acme/s3-shut/main/sub%20dir/a%2Bb%20%26%20%C3%BC%3D%252F.json"


def test_what_is_signed_is_what_is_asked(keys):
    assert send(signed(keys, FILE)) == (200, "odd")
    assert send(signed(keys, FILE.replace("main", "feature%2Fx"))) == (200, "odd")
    listing = "/s3/hub?delimiter=%2F&list-type=2&prefix=acme%2Fs3-shut%2F&start-after="
    status, body = send(signed(keys, listing))
    assert (status, body.count("<CommonPrefixes>")) == (200, 2)
    request = signed(keys, listing)
    shuffled = "/s3/hub?start-after&prefix=acme/s3-shut/&list-type=2&delimiter=/"  # the same by the rules of signing
    assert send(request, path=shuffled)[0] == 200
    assert send(request, path=f"{shuffled}&max-keys=1") == (403, "SignatureDoesNotMatch")
    assert send(request, path=shuffled.replace("s3-shut", "s3-open")) == (403, "SignatureDoesNotMatch")
    plus = signed(keys, "/s3/hub?list-type=2&prefix=a%2Bb")
    assert send(plus, path="/s3/hub?list-type=2&prefix=a+b")[0] == 200  # a plus is a plus
    assert send(plus, path="/s3/hub?list-type=2&prefix=a%20b") == (403, "SignatureDoesNotMatch")
    encoded = signed(keys, FILE)
    assert send(encoded, path=FILE.replace("/main/", "%2Fmain/")) == (403, "SignatureDoesNotMatch")


def test_headers_count_as_they_were_signed(keys):
    twice = signed(keys, FILE, headers={"X-Amz-Meta-Two": "a,b c"})
    del twice.headers["X-Amz-Meta-Two"]
    assert send(twice, ("X-Amz-Meta-Two", "a"), ("X-Amz-Meta-Two", "b   c")) == (200, "odd")
    assert send(twice, ("X-Amz-Meta-Two", "a"), ("X-Amz-Meta-Two", "x")) == (403, "SignatureDoesNotMatch")
    assert send(twice) == (403, "SignatureDoesNotMatch")
    unsigned = signed(keys, FILE, headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert send(unsigned)[0] == 200
    for payload in ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "0" * 64):
        request = signed(keys, FILE)
        request.headers.replace_header("X-Amz-Content-SHA256", payload)
        assert send(request) == (400, "XAmzContentSHA256Mismatch")
    without_host = signed(keys, FILE)
    header = without_host.headers["Authorization"]
    without_host.headers.replace_header("Authorization", header.replace("host;", ""))
    assert send(without_host) == (400, "AuthorizationHeaderMalformed")
    undated = signed(keys, FILE)
    undated.headers.replace_header("Authorization", header.replace(";x-amz-date", ""))
    assert send(undated) == (400, "AuthorizationHeaderMalformed")
    both = signed(keys, FILE)
    assert send(both, path=f"{FILE}?X-Amz-Algorithm=AWS4-HMAC-SHA256") == (400, "InvalidArgument")


def test_clocks_and_keys_that_are_wrong(keys):
    now = datetime.now(UTC)
    assert send(signed(keys, FILE, at=now - timedelta(minutes=14))) == (200, "odd")
    assert send(signed(keys, FILE, at=now + timedelta(minutes=14))) == (200, "odd")
    for minutes in (-16, 16):
        assert send(signed(keys, FILE, at=now + timedelta(minutes=minutes))) == (403, "RequestTimeTooSkewed")
    assert send(signed(keys, FILE, secret="0" * 40)) == (403, "SignatureDoesNotMatch")
    assert send(signed(keys, FILE, service="sts", auth=SigV4Auth)) == (400, "AuthorizationHeaderMalformed")
    key = keys.credentials("alice")["aws_access_key_id"]
    for bent in (
        f"{key[:-1]}{'0' if key[-1] != '0' else '1'}",
        f"DVT9{key[4:]}",
        "AKIAIOSFODNN7EXAMPLE",
        f"DVT{'٣' * 18}",
    ):
        request = signed(keys, FILE)
        request.headers.replace_header("Authorization", request.headers["Authorization"].replace(key, bent))
        if bent.isascii():
            assert send(request) == (403, "InvalidAccessKeyId")
    expired = signed(keys, FILE, auth=lambda *given: S3SigV4QueryAuth(*given, expires=604_801))
    assert send(expired) == (400, "AuthorizationQueryParametersError")
