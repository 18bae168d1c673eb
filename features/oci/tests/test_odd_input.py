"""Odd input on the routes of images is no accident."""

from django.test import Client


def test_odd_input_is_no_accident(cast):
    cast.repository("acme/a")
    client = Client(raise_request_exception=False)
    for one in ("%0A", "%ff", "%01", "%ed%a0%80", "%F4%8F%BF%BF", "%ed%9f%bf", "-", ".."):
        asked = [f"/v2/{one}/x/manifests/main", f"/v2/acme/a/manifests/{one}", f"/v2/acme/a/blobs/{one}"]
        asked += [f"/v2/acme/a/tags/list?n=1&last={one}", f"/v2/token?scope={one}"]
        for path in asked:
            assert client.get(path).status_code < 500, path
        for header in (f"Bearer {one}", f"AWS4-HMAC-SHA256 Credential={one}", f"Basic {one}"):
            answer = client.get("/v2/acme/a/manifests/main", headers={"authorization": header})
            assert answer.status_code < 500, header
