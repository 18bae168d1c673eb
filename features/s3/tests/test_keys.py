"""The tree of keys without clients: pages of any size are the whole list, and odd input is no accident."""

import pytest
from django.test import Client

from features.s3 import keys
from hub.monitoring import metrics
from registry.publish import push
from registry.repos import refs
from registry.repos.refs import Viewer
from tests.cast import Cast, assemble
from tests.sweep import sweep


@pytest.fixture
def cast(db, settings, tmp_path) -> Cast:
    """Two repositories whose names sort around a slash."""
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    made = assemble()
    for name in ("acme/a", "acme/a-b"):
        intent = push.Intent(made.repository(name), refs.MAIN, made.session("alice"), "Files")
        push.receive(intent, [push.Inline(path, b"x") for path in ("d/x", "d-e", "d/y/z", "ü")])
    return made


@sweep("delimiter", ["", "/", "-", "a", "d/", "\U0010ffff", "\ud7ff"])
def test_pages_are_the_whole_list(cast, delimiter):
    viewer = Viewer(cast.session("carol"))
    whole = keys.list_keys(viewer, "", delimiter=delimiter, limit=1000)
    expected = {*(file.key for file in whole.files), *whole.folders}
    assert len(expected) == len(whole) > 0
    for size in (1, 2, 3):
        walked, after = [], ""
        while True:
            page = keys.list_keys(viewer, "", delimiter=delimiter, after=after, limit=size)
            walked += [*(file.key for file in page.files), *page.folders]
            if not (after := page.next):
                break
        assert (len(walked), set(walked)) == (len(expected), expected), size


def test_odd_input_is_no_accident(cast):
    client = Client(raise_request_exception=False)
    odd = ("%0A", "%ff", "%01", "%ed%a0%80", "%F4%8F%BF%BF", "%ed%9f%bf", "-", "..")
    for one in odd:
        asked = [f"/s3/{one}", f"/s3/hub/{one}/{one}/{one}/{one}"]
        asked += [
            f"/s3/hub?delimiter={one}&prefix={one}&max-keys=1",
            f"/s3/hub?delimiter={one}&max-keys=1&marker={one}",
        ]
        asked += [f"/s3/hub?list-type=2&continuation-token={one}", f"/s3/hub?X-Amz-Algorithm={one}&X-Amz-Date={one}"]
        for path in asked:
            assert client.get(path).status_code < 500, path
        for header in (f"Bearer {one}", f"AWS4-HMAC-SHA256 Credential={one}", f"Basic {one}"):
            assert client.get("/s3/hub", headers={"authorization": header}).status_code < 500, header
    ends = {"authorization": "AWS4-HMAC-SHA256 x", "date": "Fri, 31 Dec 9999 23:59:59 -2359"}  # after the last year
    assert client.get("/s3/hub", headers=ends).status_code == 403


def test_the_metrics_count_a_protocol_and_the_other_files_of_a_feature_by_their_parts(cast):
    for path, face in (("/s3/hub", "s3"), ("/api/v1/me/s3-key", "api"), ("/livez", "health")):
        assert metrics.face_of(Client().get(path).wsgi_request) == face
