"""Public files are downloaded from an address that caches keep; others never are."""

import urllib.request

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from features.plane import documents
from features.plane import settings as read_settings
from features.plane.tests.hub import NAME, WEIGHTS, follow, head, repository
from hub.environment import Environment
from hub.hf.pull import PUBLIC
from registry.bytes import blobs
from registry.bytes.blobs import Keys, digest_of
from registry.kernel import site_settings
from registry.models import BlockedFile, Repository, Revision, RevisionFile
from registry.proof.verified import withdrawals
from registry.publish import push
from registry.repos import pull, refs

SHA256, SMALL = digest_of(WEIGHTS).sha256, digest_of(b"# Reviews").sha256


def block() -> None:
    for sha256 in (SHA256, SMALL):
        BlockedFile.objects.create(sha256=sha256, reason="It steals.", by="mona")


HIDDEN = {
    "private": lambda: Repository.objects.update(private=True),
    "gated": lambda: Repository.objects.update(gated="manual"),
    "blocked": block,
    "not yet searched": lambda: RevisionFile.objects.update(is_unsearched=True),
    "version held": lambda: Revision.objects.update(quarantined_at="2026-12-02T00:00:00Z"),
    "repository held": lambda: Repository.objects.update(quarantined_at="2026-12-02T00:00:00Z"),
}


@pytest.fixture
def carried(plane, settings) -> None:
    """A CDN carries the bytes of the read plane."""
    settings.PLANE_BYTES = True


def ask(path: str, rev: str = "", token: str = "", method: str = "get", **headers: str):
    told = {"authorization": f"Bearer {token}"} if token else {}
    answer = getattr(Client(), method)(f"/{NAME}/resolve/{rev or head()}/{path}", headers=told | headers)
    list(answer)  # its bytes, of which none stay open
    return answer


def test_a_public_file_leads_to_its_unchanging_address(carried, settings):
    for rev in ("main", head()):
        answer = ask("a/w.onnx", rev)
        key = Keys.public_blob(SHA256).removeprefix(Keys.PLANE)
        assert (answer.status_code, answer["Location"]) == (302, f"{settings.PLANE_URL}/{key}")
        assert answer["Cache-Control"] == "private, no-store", "the hub is asked each time"
        with urllib.request.urlopen(answer["Location"]) as public:
            assert public.read() == WEIGHTS
    assert ask("a/w.onnx", method="head").status_code == 200
    settings.PLANE_BYTES = False
    assert ask("a/w.onnx").status_code == 200, "from the hub itself, as this store signs no links"


def test_bytes_that_are_not_there_yet_lead_nowhere(carried):
    blobs.store().delete(Keys.public_blob(SHA256))
    assert documents.public_address(SHA256) == ""
    assert ask("a/w.onnx").status_code == 200


def test_caches_keep_what_is_asked_for_by_commit_alone(plane, cast):
    for path in ("README.md", "a/w.onnx"):
        assert ask(path)["Cache-Control"] == PUBLIC
        assert ask(path, token=cast.token("alice"))["Cache-Control"] == PUBLIC
        assert ask(path, method="head")["Cache-Control"] == PUBLIC
        assert ask(path, range="bytes=0-1")["Cache-Control"] == PUBLIC
        again = ask(path, **{"if-none-match": ask(path)["ETag"]})
        assert (again.status_code, again["Cache-Control"]) == (304, PUBLIC)
        for rev in ("main", head()[:12], "refs%2Fheads%2Fmain"):
            assert ask(path, rev)["Cache-Control"] == "private, no-cache", rev
    assert "public" not in ask("none.txt").get("Cache-Control", "")
    withdrawals.yank(pull.resolve(repository(), "main"), cast.session("alice"), "It is old.")
    assert ask("README.md")["Cache-Control"] == "private, no-cache", "a header says so, which may go again"


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=HIDDEN)
def test_what_not_everybody_may_have_is_in_no_cache(carried, cast, hide):
    oid, tokens = head(), {"": "", "alice": cast.token("alice"), "mona": cast.token("mona")}
    assert ask("a/w.onnx").status_code == 302
    hide()
    for path in ("README.md", "a/w.onnx"):
        for who, token in tokens.items():
            for rev in ("main", oid):
                answer = ask(path, rev, token)
                assert "Location" not in answer or "plane" not in answer["Location"], (path, who)
                assert "public" not in answer.get("Cache-Control", ""), (path, who)
                assert answer.status_code != 302, (path, who)


def test_what_the_pull_policy_keeps_back_is_in_no_cache(carried, cast):
    files = [push.Inline("adapter_config.json", b'{"peft_type": "LORA"}')]
    push.receive(push.Intent(repository(), refs.MAIN, cast.session("alice"), title="An adapter"), files)
    follow()
    assert ask("a/w.onnx").status_code == 302
    site_settings.change_setting("pull_policy", "verified", cast["ada"])
    assert ask("a/w.onnx").status_code == 403
    own = ask("a/w.onnx", token=cast.token("alice"))
    assert (own.status_code, own["Cache-Control"]) == (200, "private, no-cache")
    entry = pull.entries(pull.resolve(repository(), "main"))["a/w.onnx"]
    assert not pull.is_for_anybody(pull.resolve(repository(), "main"), entry)


def test_bytes_without_an_address_are_refused_at_the_start():
    with pytest.raises(ImproperlyConfigured, match="needs DOVETAIL_PLANE_URL"):
        read_settings.SETTINGS(Environment({"DOVETAIL_PLANE_BYTES": "on"}))
