"""S3 on a host of its own: the same routes, the signature of the path that the client signed, and no page."""

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from features.s3 import access_keys
from features.s3.settings import own_host
from registry.people.tokens import tokens
from registry.publish import push
from registry.repos import refs
from tests.cast import Cast, assemble
from tests.sweep import sweep

HOST = "s3.example.org"


@pytest.fixture
def cast(db, settings, tmp_path) -> Cast:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.S3_HOST = HOST
    settings.MIDDLEWARE = ["features.s3.wire.signatures.OwnHost", *settings.MIDDLEWARE]
    made = assemble()
    intent = push.Intent(made.repository("acme/shut", private=True), refs.MAIN, made.session("alice"), "Files")
    push.receive(intent, [push.Inline(path, b"x") for path in ("sub dir/ü=%2F.json", "README.md")])
    return made


def get(cast: Cast, path: str, host: str = HOST, signed_host: str = ""):
    key = access_keys.key_of(tokens.caller_of(cast.token("alice")).token)
    request = AWSRequest("GET", f"http://{signed_host or host}{path}")
    S3SigV4Auth(Credentials(key.id, key.secret), "s3", "eu-1").add_auth(request)
    sent = dict(request.headers.items()) | {"Host": host}
    return Client(headers=sent).get(path, RAW_URI=path)


@sweep("host", [HOST, f"{HOST}:8443", f"acme.{HOST}"])
def test_the_root_of_the_host_is_s3(cast, host):
    is_virtual = host.startswith("acme.")
    top = "" if is_virtual else "/acme"
    listed = get(cast, f"{top or '/'}?list-type=2&prefix=shut%2Fmain%2FR", host)
    assert (listed.status_code, listed.content.count(b"<Key>shut/main/README.md</Key>")) == (200, 1)
    for path in (f"{top}/shut/main/README.md", f"{top}/shut/main/sub%20dir/%C3%BC%3D%252F.json"):
        assert get(cast, path, host).status_code == 200, path
    assert get(cast, f"{top}/shut/main/README.md", host, "other.example.org").status_code == 403
    if not is_virtual:
        assert b"<Name>hub</Name>" in get(cast, "/", host).content


def test_nothing_else_is_on_that_host_and_the_hub_keeps_its_own(cast):
    for path in ("/login", "/api/v1/me", "/verified/acme/shut", "/static/x", "/livez"):
        answer = get(cast, path)
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/xml"), path
    assert get(cast, "/s3/acme/shut/main/README.md", "127.0.0.1").status_code == 200
    assert get(cast, "/acme/shut/main/README.md", "127.0.0.1").status_code == 404


def test_a_key_says_the_host(cast):
    bearer = Client(headers={"Authorization": f"Bearer {cast.token('alice')}"})
    answer = bearer.get("/api/v1/me/s3-key", headers={"Host": "127.0.0.1"})
    assert answer.json()["endpoint_url"] == f"http://{HOST}"


@sweep("value", ["https://s3.example.org", "s3.example.org/x", "s3..org", "a b"])
def test_what_is_no_host_is_refused_at_start(value):
    with pytest.raises(ImproperlyConfigured, match="DOVETAIL_S3_HOST must be a host"):
        own_host(value)


def test_a_host_may_have_a_port():
    assert (own_host(" Localhost:8041 "), own_host("")) == ("localhost:8041", "")
