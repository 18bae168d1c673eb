"""Secrets are looked for in each repository, an adapter or none, and its page says what was looked at."""

import pytest
from django.test import Client

from registry.models import SecretSearch
from tests.api.conftest import FILES, pushed
from workers import pushed_files

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
TOKEN = b"npm_Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zCd7g"


@pytest.fixture(autouse=True)
def _stores(settings, tmp_path):
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"


@pytest.mark.parametrize(("type", "prefix"), [("model", ""), ("dataset", "datasets/"), ("space", "spaces/")])
def test_a_secret_in_any_kind_of_repository_is_found_kept_and_told(cast, type, prefix):
    made = cast.repository("alice/plain", type=type)
    page = f"/{prefix}alice/plain/security"
    pushed(cast, made, files={"id_rsa": KEY, "rows.csv": b"a,b\n", "blob": bytes(99)})
    assert "waiting" in Client().get(page).content.decode()
    pushed_files.scan_revisions()
    search = SecretSearch.objects.get()
    assert (search.places, search.searched[:7]) == ([["id_rsa", 1, "a private key"]], "2 files")
    assert search.searched.endswith("of text; 1 binary file was not")
    seen = Client().get(page).content.decode()
    assert search.searched in seen
    assert "id_rsa" not in seen, "where it is, its owners see"
    assert "not examined" not in seen


def test_what_is_still_there_is_told_of_the_next_version_and_what_is_gone_is_not(cast):
    made = cast.repository("alice/plain", type="dataset")
    pushed(cast, made, files={"id_rsa": KEY, "notes": b"x = " + TOKEN})
    pushed_files.scan_revisions()
    pushed(cast, made, files={"notes": b"x = 1", "README.md": b"# Notes"})
    pushed_files.scan_revisions()
    newest = SecretSearch.objects.order_by("-pk").first()
    assert [place[0] for place in newest.places] == ["id_rsa"]
    assert newest.searched.startswith("2 files")


def test_examples_are_no_secrets(cast):
    pushed(cast, cast.repository("alice/reviews"), files={**FILES, "id_rsa": KEY})
    pushed(cast, cast.repository("alice/notes"), files={"a.md": b"AKIAIOSFODNN7EXAMPLE", "b.txt": b"plain"})
    pushed_files.scan_revisions()
    assert [len(search.places) for search in SecretSearch.objects.order_by("pk")] == [1, 0]
