"""The blocklist: who changes it, and what is held back because of it."""

import hashlib
import io
from datetime import timedelta

import numpy as np
import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from safetensors.numpy import save

from features.blocklist import verbs
from registry.bytes import intake, tensor_digests
from registry.kernel.errors import ItemNotFound, NotAllowed, ValueInvalid
from registry.models import AuditEvent, Blob, BlockedFile, DerivedArtifact, Repository, Revision, TensorDigest
from registry.moderation import quarantine
from tests.hf.wire import file, header
from workers import pushed_files

FULL = "alice/reviews"
BAD = b"the bytes of a known malware"
DIGEST = hashlib.sha256(BAD).hexdigest()
WHY = "It steals credentials."


@pytest.fixture
def reviews(cast) -> Repository:
    return cast.repository(FULL)


def block(cast, *digests: str) -> list[str]:
    return verbs.block(digests or (DIGEST,), cast.session("mona"), reason=WHY, note="From the list of X.")


def test_all_revisions_that_hold_it_are_held_back_and_others_are_served(wire, reviews, cast):
    for name in ("alice/reviews", "acme/other"):
        if name != FULL:
            cast.repository(name)
        wire.push(name, {"bad.txt": BAD})
        wire.push(name, {"more.txt": b"more"})
    wire.commit(FULL, header(), {"key": "deletedFile", "value": {"path": "bad.txt"}})
    assert Revision.objects.filter(files__blob=DIGEST).count() == 4
    block(cast)
    assert verbs.sweep() == 4
    held = Revision.objects.filter(quarantined_at__isnull=False)
    assert set(held) == set(Revision.objects.filter(files__blob=DIGEST))
    row = BlockedFile.objects.get()
    assert (row.held, row.swept_at is not None) == (4, True)
    ruling = held.first().decisions.get()
    assert (ruling.by, ruling.note) == (None, "From the list of X.")
    assert WHY in ruling.reason
    events = AuditEvent.objects.filter(action="revision:quarantine")
    assert (events.count(), {event.actor for event in events}) == (4, {"system"})
    assert wire.get("/acme/other/resolve/main/bad.txt", who="carol").status_code == 404
    assert wire.get(f"/{FULL}/resolve/main/more.txt", who="carol").status_code == 200
    assert verbs.sweep() == 0


def test_a_sweep_is_bounded_and_goes_on(wire, reviews, cast, monkeypatch):
    wire.push(FULL, {"bad.txt": BAD})
    for number in range(4):
        wire.push(FULL, {"more.txt": str(number).encode()})
    block(cast)
    monkeypatch.setattr(verbs, "SWEPT_AT_ONCE", 2)
    assert [verbs.sweep() for _ in range(4)] == [2, 2, 1, 0]
    assert BlockedFile.objects.get().held == 5


def test_a_push_that_was_under_way_is_found_by_a_later_sweep_and_an_old_block_costs_nothing(wire, reviews, cast):
    block(cast)
    assert verbs.sweep() == 0
    row = BlockedFile.objects.get()
    row.delete()  # a push that looked before the block, and is committed after the sweep
    wire.push(FULL, {"bad.txt": BAD})
    row.save(force_insert=True)
    assert verbs.sweep() == 1
    BlockedFile.objects.update(at=timezone.now() - timedelta(days=1), swept_at=timezone.now())
    Revision.objects.update(quarantined_at=None)
    assert verbs.sweep() == 0


def test_what_a_moderator_releases_stays_released(wire, reviews, cast):
    wire.push(FULL, {"bad.txt": BAD})
    block(cast)
    verbs.sweep()
    revision = Revision.objects.get(quarantined_at__isnull=False)
    quarantine.release(reviews, cast.session("mona"), reason="A false alarm.", revision=revision)
    assert verbs.sweep() == 0
    revision.refresh_from_db()
    assert not revision.is_quarantined


def test_blocking_and_unblocking_are_logged_once_with_what_was(cast, db):
    assert block(cast, DIGEST, "A" * 64) == sorted([DIGEST, "a" * 64])
    assert block(cast) == []
    verbs.unblock(DIGEST, cast.session("mona"))
    acts = AuditEvent.objects.filter(object=DIGEST).order_by("pk").values_list("action", "reason", "before", "after")
    assert list(acts) == [
        ("file:block", WHY, None, {"blocked": True}),
        ("file:unblock", "", {"reason": WHY, "by": "mona"}, None),
    ]
    with pytest.raises(ItemNotFound):
        verbs.unblock(DIGEST, cast.session("mona"))


def test_only_moderators_block(cast, db):
    with pytest.raises(NotAllowed):
        verbs.block([DIGEST], cast.session("alice"), reason=WHY)
    for digests, reason in (([], WHY), (["abc"], WHY), ([DIGEST], " ")):
        with pytest.raises(ValueInvalid):
            verbs.block(digests, cast.session("mona"), reason=reason)
    assert not BlockedFile.objects.exists()


def test_a_list_is_imported_by_command(tmp_path, db):
    listed = tmp_path / "list.txt"
    listed.write_text(f"# malware of November\n{DIGEST}  adapter_model.bin\nsha256:{'0' * 64}\n\n")
    for expected in ("Blocked 2 files; 0 were blocked before.", "Blocked 0 files; 2 were blocked before."):
        output = io.StringIO()
        call_command("block_files", str(listed), reason=WHY, stdout=output)
        assert expected in output.getvalue()
    assert set(BlockedFile.objects.values_list("by", flat=True)) == {"system"}
    listed.write_text("not a digest")
    with pytest.raises(CommandError, match="is not a sha256"):
        call_command("block_files", str(listed), reason=WHY)


# --- the same tensors under another header ---------------------------------------------------------------------------
def weights(
    names: tuple[str, str] = ("a", "b"), *, value: float = 1.0, metadata: dict[str, str] | None = None
) -> bytes:
    tensors = {names[0]: np.full((4, 2), value, np.float32), names[1]: np.arange(8, dtype=np.float16)}
    return save(tensors, metadata=metadata)


BAD_WEIGHTS = weights()
RE_SAVED = {
    "metadata": weights(metadata={"format": "pt", "note": "clean"}),
    "names": weights(("base_model.model.a", "base_model.model.b")),
    "order": weights(("z", "y")),
}


@pytest.mark.parametrize("change", RE_SAVED)
def test_a_blocked_file_is_found_under_another_header_and_refused_from_then_on(wire, reviews, cast, change):
    again = RE_SAVED[change]
    assert again != BAD_WEIGHTS
    cast.repository("acme/other")
    wire.push(FULL, {"adapter_model.safetensors": BAD_WEIGHTS})
    pushed_files.digest_files()
    block(cast, hashlib.sha256(BAD_WEIGHTS).hexdigest())
    assert verbs.sweep() == 1
    wire.push("acme/other", {"x/model.safetensors": again, "y.safetensors": weights(value=2.0)})
    assert verbs.sweep() == 0
    pushed_files.digest_files()
    assert verbs.sweep() == 1
    held = Revision.objects.get(repository__name="other", quarantined_at__isnull=False)
    assert held.decisions.get().reason.startswith("It holds the tensors of a file that is blocked on this hub")
    assert wire.get("/acme/other/resolve/main/x/model.safetensors", who="carol").status_code == 404
    refused = wire.commit(FULL, header(), file("copy.safetensors", again))
    assert (refused.status_code, refused.json()["code"]) == (403, "file-blocked"), refused.content
    [offered] = wire.offer(FULL, again).json()["objects"]
    assert WHY in offered["error"]["message"]
    assert wire.commit(FULL, header(), file("good.safetensors", weights(value=3.0))).status_code == 200


def test_tensors_that_are_hashed_after_the_block_are_found_too(wire, reviews, cast):
    cast.repository("acme/other")
    wire.push("acme/other", {"m.safetensors": RE_SAVED["names"]})
    wire.push(FULL, {"m.safetensors": BAD_WEIGHTS})
    block(cast, hashlib.sha256(BAD_WEIGHTS).hexdigest())
    assert verbs.sweep() == 1
    pushed_files.digest_files()
    assert BlockedFile.objects.get().tensors
    assert verbs.sweep() == 1
    BlockedFile.objects.update(at=timezone.now() - timedelta(days=1))
    assert verbs.sweep() == 0


def test_a_digest_that_is_learned_while_a_file_is_blocked_is_not_lost(wire, reviews, cast):
    wire.push(FULL, {"m.safetensors": RE_SAVED["names"], "n.safetensors": BAD_WEIGHTS})
    pushed_files.digest_files()
    block(cast, hashlib.sha256(BAD_WEIGHTS).hexdigest())
    BlockedFile.objects.update(tensors="")  # as a block writes it that began before the digest was known
    assert verbs.sweep() == 1
    assert BlockedFile.objects.get().tensors == tensor_digests.known(hashlib.sha256(BAD_WEIGHTS).hexdigest())


def test_a_file_without_tensors_is_like_no_other(wire, reviews, cast):
    broken, empty = b"\x08" + b"\0" * 7 + b"not JSON" + b"x" * 50, save({})
    wire.push(FULL, {"broken.safetensors": broken, "empty.safetensors": empty, "m.safetensors": BAD_WEIGHTS})
    pushed_files.digest_files()
    rows = dict(TensorDigest.objects.values_list("file", "sha256"))
    assert sorted(bool(sha256) for sha256 in rows.values()) == [False, False, True]
    assert tensor_digests.claim() is None
    block(cast, hashlib.sha256(broken).hexdigest(), hashlib.sha256(empty).hexdigest())
    cast.repository("acme/other")
    wire.push("acme/other", {"other.safetensors": save({}, metadata={"a": "b"})})
    pushed_files.digest_files()
    assert verbs.sweep() == 1  # the revision with both files themselves
    assert not Revision.objects.filter(repository__name="other", quarantined_at__isnull=False).exists()


def test_a_pickle_is_known_by_the_safetensors_that_were_derived_of_it(wire, reviews, cast):
    wire.push(FULL, {"pytorch_model.bin": b"a pickle of the same tensors"})
    source, derived = hashlib.sha256(b"a pickle of the same tensors").hexdigest(), weights(("u", "v"))
    intake.store_verified(hashlib.sha256(derived).hexdigest(), [derived])
    blob = Blob.objects.create(sha256=hashlib.sha256(derived).hexdigest(), size=len(derived))
    DerivedArtifact.objects.create(source_id=source, form="safetensors", blob=blob)
    tensor_digests.enqueue_digests([source])
    cast.repository("acme/other")
    wire.push("acme/other", {"m.safetensors": BAD_WEIGHTS})
    pushed_files.digest_files()
    block(cast, source)
    assert verbs.sweep() == 2


def test_a_moderator_with_a_second_factor_must_have_passed_it(cast):
    Authenticator.objects.create(user=cast["mona"], type=Authenticator.Type.TOTP, data={"secret": "x"})
    block(cast)
    mona = Client()
    mona.force_login(cast["mona"])
    unblocked = mona.delete(f"/api/v1/moderation/blocklist/{DIGEST}")
    assert unblocked.json()["code"] == "reauthentication-required"
    assert BlockedFile.objects.exists()
