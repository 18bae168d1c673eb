"""Blocked files are refused on every road into the hub."""

import hashlib

import numpy as np
import pytest
from django.utils import timezone
from safetensors.numpy import save

from registry.kernel.errors import StoreUnavailable
from registry.models import BlockedFile, Repository, TensorDigest
from tests.hf.wire import file, header, lfs_file
from workers import pushed_files

FULL = "alice/reviews"
BAD = b"the bytes of a known malware"
DIGEST = hashlib.sha256(BAD).hexdigest()
WHY = "It steals credentials."


@pytest.fixture
def reviews(cast) -> Repository:
    return cast.repository(FULL)


def block(cast) -> None:
    BlockedFile.objects.create(sha256=DIGEST, reason=WHY, by="mona")


def test_a_blocked_file_is_refused_inline_by_lfs_and_at_the_commit(wire, reviews, cast):
    assert wire.deliver(FULL, BAD).status_code == 200  # the bytes were here before anybody knew
    block(cast)
    for lines in ([file("good.txt"), file("bad.txt", BAD)], [lfs_file("bad.bin", BAD)]):
        refused = wire.commit(FULL, header(), *lines)
        assert (refused.status_code, refused.json()["code"]) == (403, "file-blocked"), refused.content
        assert WHY in refused["X-Error-Message"]
        assert DIGEST in refused["X-Error-Message"]
    [offered] = wire.offer(FULL, BAD).json()["objects"]
    assert offered["error"]["code"] == 403
    assert WHY in offered["error"]["message"]
    assert reviews.revisions.count() == 1
    assert wire.commit(FULL, header(), file("good.txt")).status_code == 200


def test_another_road_to_a_blocked_file_is_closed_too(wire, reviews, cast):
    wire.push(FULL, {"bad.txt": BAD})
    block(cast)
    copy = {"key": "copyFile", "value": {"path": "again.txt", "srcPath": "bad.txt", "srcRevision": "main"}}
    refused = wire.commit(FULL, header(), copy)
    assert refused.json()["code"] == "file-blocked"
    proposed = wire.propose(FULL, file("bad2.txt", BAD), who="carol")
    assert proposed.json()["code"] == "file-blocked"


def weights(
    names: tuple[str, str] = ("a", "b"), *, value: float = 1.0, metadata: dict[str, str] | None = None
) -> bytes:
    tensors = {names[0]: np.full((4, 2), value, np.float32), names[1]: np.arange(8, dtype=np.float16)}
    return save(tensors, metadata=metadata)


BAD_WEIGHTS = weights()


def test_a_store_that_does_not_answer_leaves_the_job_waiting(wire, reviews, cast, monkeypatch):
    def broken(*_: object) -> None:
        raise StoreUnavailable("The store does not answer.")

    wire.push(FULL, {"m.safetensors": BAD_WEIGHTS})
    with monkeypatch.context() as patch:
        patch.setattr(pushed_files, "_digest", broken)
        pushed_files.digest_files()
    assert TensorDigest.objects.get().sha256 is None
    pushed_files.digest_files()
    assert TensorDigest.objects.get().sha256 is None, "its lease runs"
    TensorDigest.objects.update(free_at=timezone.now())
    pushed_files.digest_files()
    assert TensorDigest.objects.get().sha256
