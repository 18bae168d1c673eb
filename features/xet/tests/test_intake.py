"""From xorbs and a shard to a believed blob, and every way in which that must not happen."""

import hashlib
import io
from pathlib import Path

import pytest

from features.xet import transfers
from features.xet.models import Xorb
from features.xet.tests import build
from features.xet.tests.test_xorbs import CLIENT_NAME, CLIENT_XORB
from features.xet.xorbs.chunks import ShardInvalid, XorbInvalid, XorbUnknown
from features.xet.xorbs.shards import BOOKEND, HAS_METADATA, HAS_PROOFS
from registry.bytes import blobs, intake
from registry.bytes.blobs import BlobMissing, BlobStore, Digest, Keys
from registry.kernel.errors import (
    DigestMismatch,
    FileTooLarge,
    NotAllowed,
    PushTooLarge,
    RegistryError,
    RepositoryNotFound,
    RepositoryQuarantined,
    SignInRequired,
    UploadExpired,
)
from registry.kernel.policy import NOBODY, Caller
from registry.models import Blob, Repository, Upload, UploadedBlob
from registry.moderation import quarantine
from registry.people.tokens import tokens
from tests.cast import Cast
from tests.sweep import sweep

CLIENT_SHARD = (Path(__file__).parent / "data" / "hf_xet-1.8.0.shard").read_bytes()
CLIENT_FILES = {
    "67175e069efe6383b3598d43243847712b72483ac4f3278d8b7d0cd69cbf62f7": 250_905,
    "21fe9f64ab287780f0f0dfd7ec6d9a8cc1fd7e1036a8bd75f0f86cf48aff44f6": 20_000,
    "b72872bd2a6746063ebc454337bd6222a29cc9acc42b6e31f71f9f855b928c57": 7,
    "688eebd6a358015760d5f05da64ae71cdb0ade5445c6a3083fb508765c0d883f": 120_003,
}
CONTENT = build.noise(180_000, 1)


@pytest.fixture
def alice(cast: Cast) -> Caller:
    return cast.session("alice")


@pytest.fixture
def notes(cast: Cast, store: BlobStore) -> Repository:
    return cast.repository("alice/notes")


def deliver(repository: Repository, by: Caller, *xorbs_: build.Xorb) -> None:
    for xorb in xorbs_:
        transfers.receive_xorb(repository, xorb.name, io.BytesIO(xorb.data), by=by)


def send(repository: Repository, by: Caller, shard: bytes) -> list[Digest]:
    return transfers.receive_shard(repository, io.BytesIO(shard), by=by)


def believed(store: BlobStore, content: bytes) -> bool:
    sha256 = hashlib.sha256(content).hexdigest()
    rows = Blob.objects.filter(pk=sha256).exists()
    try:
        with store.open(Keys.blob(sha256)) as reader:
            assert reader.read() == content
    except BlobMissing:
        return rows and pytest.fail("a row without its object")
    return rows


def test_what_the_client_sent_becomes_whole_files(store, notes, alice) -> None:
    transfers.receive_xorb(notes, CLIENT_NAME, io.BytesIO(CLIENT_XORB), by=alice)
    found = send(notes, alice, CLIENT_SHARD)
    assert {digest.sha256: digest.size for digest in found} == CLIENT_FILES
    assert dict(Blob.objects.filter(pk__in=CLIENT_FILES).values_list("sha256", "size")) == CLIENT_FILES
    assert notes.uploaded_blobs.filter(blob__in=CLIENT_FILES).count() == 4
    for sha256 in CLIENT_FILES:
        with store.open(Keys.blob(sha256)) as reader:
            assert hashlib.sha256(reader.read()).hexdigest() == sha256


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_a_file_of_terms_in_any_order_comes_back(store, notes, alice, scheme: int) -> None:
    one, two = build.Xorb(build.split(CONTENT), scheme), build.Xorb(build.split(build.noise(90_000, 2)), scheme)
    deliver(notes, alice, one, two)
    terms = [two.term(1), one.term(2, 4), one.term(0, 1), two.term(0, 1), one.term(2, 3)]
    content = b"".join(
        b"".join((two if term["xorb"] == two.raw_hash else one).raws[term["start"] : term["end"]]) for term in terms
    )
    send(notes, alice, build.shard([build.file_record(content, terms)], [one, two]))
    assert believed(store, content)


def test_the_same_shard_again_changes_nothing(store, notes, alice) -> None:
    xorb, shard = build.whole(CONTENT)
    deliver(notes, alice, xorb)
    assert send(notes, alice, shard) == send(notes, alice, shard)
    assert UploadedBlob.objects.filter(blob=hashlib.sha256(CONTENT).hexdigest()).count() == 1


def test_bytes_that_somebody_else_brought_are_not_mine_before_i_bring_them(store, notes, alice, cast) -> None:
    xorb, shard = build.whole(CONTENT)
    deliver(notes, alice, xorb)
    send(notes, alice, shard)
    theirs = cast.repository("carol/mine", by="carol")
    assert not theirs.uploaded_blobs.filter(blob=hashlib.sha256(CONTENT).hexdigest()).exists()
    with pytest.raises(XorbUnknown) as refusal:  # as for bytes that nobody has: else she learned what alice has
        send(theirs, cast.session("carol"), shard)
    assert refusal.value.detail == f"The shard refers to xorb {xorb.name}, which is not stored here (any longer)."
    deliver(theirs, cast.session("carol"), xorb)
    send(theirs, cast.session("carol"), shard)
    assert theirs.uploaded_blobs.filter(blob=hashlib.sha256(CONTENT).hexdigest()).exists()


GOOD = build.Xorb(build.split(CONTENT))
OTHER = build.Xorb(build.split(build.noise(100_000, 9)))
TERM = GOOD.term()
FORGED = {
    "a sha256 that is not the file's": (DigestMismatch, build.file_record(b"other", [TERM])),
    "a file id that is not the chunks'": (ShardInvalid, build.file_record(CONTENT, [TERM], file_id=bytes(32))),
    "a proof of other chunks": (ShardInvalid, build.file_record(CONTENT, [GOOD.term(proof=GOOD.term(1)["proof"])])),
    "a proof that is the xorb's hash": (ShardInvalid, build.file_record(CONTENT, [GOOD.term(proof=GOOD.raw_hash)])),
    "no proofs": (ShardInvalid, build.file_record(CONTENT, [TERM], flags=HAS_METADATA)),
    "no sha256": (ShardInvalid, build.file_record(CONTENT, [TERM], flags=HAS_PROOFS)),
    "an unknown flag": (ShardInvalid, build.file_record(CONTENT, [TERM], flags=HAS_METADATA | HAS_PROOFS | 1)),
    "a term with a flag": (ShardInvalid, build.file_record(CONTENT, [GOOD.term(flags=1)])),
    "an empty range": (ShardInvalid, build.file_record(CONTENT, [GOOD.term(end=0)])),
    "a range turned around": (ShardInvalid, build.file_record(CONTENT, [TERM | {"start": 3, "end": 1}])),
    "a range past the xorb": (ShardInvalid, build.file_record(CONTENT, [TERM | {"end": 5}])),
    "a size too small": (ShardInvalid, build.file_record(CONTENT, [TERM | {"size": 1}])),
    "a size too large": (ShardInvalid, build.file_record(CONTENT, [TERM | {"size": 180_001}])),
    "no terms": (ShardInvalid, build.file_record(b"", [])),
    "a xorb that nobody sent": (XorbUnknown, build.file_record(CONTENT, [OTHER.term()])),
}


@sweep("forgery", FORGED)
def test_a_forged_file_is_refused_and_leaves_nothing(store, notes, alice, forgery: str) -> None:
    refusal, record = FORGED[forgery]
    deliver(notes, alice, GOOD)
    rows = Blob.objects.count(), UploadedBlob.objects.count()
    with pytest.raises(refusal) as refused:
        send(notes, alice, build.shard([record]))
    assert type(refused.value) is refusal
    assert refused.value.detail.endswith(".")
    assert refused.value.fix
    assert (Blob.objects.count(), UploadedBlob.objects.count()) == rows
    assert not believed(store, CONTENT)


XORB, SHARD = build.whole(CONTENT)
BROKEN = {
    "nothing": b"",
    "half a header": SHARD[:20],
    "another tag": build.shard([], tag=bytes(32)),
    "another version": build.shard([], version=3),
    "a footer": build.shard([], footer=200),
    "no second section": SHARD[: SHARD.index(BOOKEND) + 48],
    "bytes after the end": SHARD + b"\0",
    "a damaged end mark": SHARD[:-1] + b"\1",
    "a file that never ends": build.shard([build.file_record(CONTENT, [TERM], count=4_000_000)]),
    "a xorb of a million chunks": SHARD[: SHARD.index(BOOKEND) + 48] + bytes(36) + b"\0\0\x10\0" + bytes(8),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_shard_is_refused(store, notes, alice, damage: str) -> None:
    deliver(notes, alice, XORB)
    with pytest.raises(ShardInvalid) as refused:
        send(notes, alice, BROKEN[damage])
    assert refused.value.detail.endswith(".")
    assert not believed(store, CONTENT)


def test_every_truncation_of_a_shard_is_refused(store, notes, alice) -> None:
    deliver(notes, alice, XORB)
    for size in range(len(SHARD)):
        with pytest.raises(ShardInvalid):
            send(notes, alice, SHARD[:size])


RESERVED = {*range(88, 96), *range(176, 192), *range(224, 240)}  # of the one file: its record, its proof, its sha256


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_no_bit_of_a_files_records_can_change_unnoticed(store, notes, alice, bit: int) -> None:
    deliver(notes, alice, XORB)
    before = Blob.objects.count()
    for at in range(SHARD.index(BOOKEND)):
        data = bytearray(SHARD)
        data[at] ^= 1 << bit
        if at not in RESERVED:
            with pytest.raises(RegistryError):
                send(notes, alice, bytes(data))
    assert Blob.objects.count() == before
    assert not believed(store, CONTENT)


def test_a_small_shard_cannot_unpack_to_more_than_a_file_may_have(store, notes, alice, settings) -> None:
    settings.MAX_FILE_BYTES, settings.MAX_PUSH_BYTES = 1_000_000, 1_500_000
    deliver(notes, alice, GOOD)
    with pytest.raises(FileTooLarge, match=r"^'[0-9a-f]{64}' has [0-9,]+ bytes; the limit is 1,000,000\."):
        send(notes, alice, build.shard([build.file_record(CONTENT * 6, [TERM] * 6)]))
    with pytest.raises(PushTooLarge, match="1,500,000"):
        send(notes, alice, build.shard([build.file_record(CONTENT * 5, [TERM] * 5)] * 2))
    lying = build.file_record(CONTENT * 6, [TERM | {"size": 1}] * 6)
    with pytest.raises(ShardInvalid):
        send(notes, alice, build.shard([lying]))


def test_a_small_shard_cannot_name_chunks_without_end(store, notes, alice) -> None:
    dust = build.Xorb([bytes([number % 251]) for number in range(8192)])  # a byte each
    deliver(notes, alice, dust)
    endless = build.file_record(b"", [dust.term(leaves=[])] * 513)  # its id is wrong, which nobody looks at any more
    with pytest.raises(PushTooLarge, match=r"4,202,496 chunks"):
        send(notes, alice, build.shard([endless]))
    with pytest.raises(PushTooLarge, match=r"20,001 files"):
        send(notes, alice, build.shard([build.file_record(b"x", [dust.term(0, 1)])] * 20_001))


def test_a_xorb_whose_object_is_gone_is_unknown(store, notes, alice) -> None:
    xorb, shard = build.whole(build.noise(70_000, 33))
    deliver(notes, alice, xorb)
    store.delete(Keys.xorb(xorb.name))
    with pytest.raises(XorbUnknown):
        send(notes, alice, shard)
    deliver(notes, alice, xorb)
    send(notes, alice, shard)


def test_a_refused_xorb_leaves_no_row(store, notes, alice) -> None:
    with pytest.raises(XorbInvalid):
        transfers.receive_xorb(notes, GOOD.name, io.BytesIO(GOOD.data[:-5]), by=alice)
    assert not Xorb.objects.exists()
    assert not list(store.list(Keys.XORBS))


@pytest.mark.parametrize(("who", "refusal"), [("nobody", SignInRequired), ("a reading token", NotAllowed)])
def test_who_may_not_even_propose_may_not_deliver(cast, store, who: str, refusal: type[RegistryError]) -> None:
    router = cast.repository("acme/router")
    by = NOBODY if who == "nobody" else tokens.caller_of(cast.token("erin", "read"))
    with pytest.raises(refusal):
        transfers.receive_xorb(router, XORB.name, io.BytesIO(XORB.data), by=by)
    with pytest.raises(refusal):
        transfers.receive_shard(router, io.BytesIO(SHARD), by=by)
    with pytest.raises(refusal):
        intake.create_upload(router, "0" * 64, 1, by=by)


def test_a_private_adapter_does_not_exist_for_strangers(cast, store) -> None:
    secret = cast.repository("alice/secret", private=True)
    with pytest.raises(RepositoryNotFound):
        transfers.receive_xorb(secret, XORB.name, io.BytesIO(XORB.data), by=cast.session("carol"))


def test_a_quarantined_adapter_takes_no_bytes(store, notes, alice, cast) -> None:
    quarantine.quarantine(notes, cast.session("mona"), reason="malware")
    with pytest.raises(RepositoryQuarantined, match="malware"):
        transfers.receive_xorb(notes, XORB.name, io.BytesIO(XORB.data), by=alice)
    with pytest.raises(RepositoryQuarantined, match="malware"):
        transfers.receive_shard(notes, io.BytesIO(SHARD), by=alice)


# --- uploads with a ticket -------------------------------------------------------------------------------------------


def promise(notes: Repository, alice: Caller, content: bytes = CONTENT) -> Upload:
    return intake.create_upload(notes, hashlib.sha256(content).hexdigest(), len(content), by=alice)


def put_in_the_store(upload: Upload, pieces: list[bytes]) -> None:
    blobs.store().put(Keys.incoming(upload.id), pieces)  # as a client does with a signed address


def through_the_web(upload: Upload, pieces: list[bytes]) -> Digest:
    return intake.receive_upload(upload, pieces)


def past_the_web(upload: Upload, pieces: list[bytes]) -> Digest:
    put_in_the_store(upload, pieces)
    return intake.adopt_staged(upload)


both_roads = pytest.mark.parametrize("road", [through_the_web, past_the_web])


@both_roads
@pytest.mark.parametrize("size", [50_000, 1 << 20])
def test_a_delivered_upload_is_adopted_once(store, notes, alice, road, size: int) -> None:
    content = build.noise(2_500_000)
    upload = promise(notes, alice, content)
    assert road(upload, build.split(content, size)) == Digest(upload.sha256, len(content))
    assert believed(store, content)
    assert notes.uploaded_blobs.filter(blob=upload.sha256).exists()
    assert not Upload.objects.exists()
    assert not list(store.list(Keys.INCOMING))


@both_roads
@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", CONTENT * 2, b"", b"x" * len(CONTENT)])
def test_other_bytes_than_promised_are_dropped(store, notes, alice, road, content: bytes) -> None:
    upload = promise(notes, alice)
    same_size = len(content) == len(CONTENT)
    told = hashlib.sha256(content).hexdigest() if same_size or road is through_the_web else f"{len(content):,} bytes"
    with pytest.raises(DigestMismatch, match=told):
        road(upload, [content])
    assert not Blob.objects.filter(pk=upload.sha256).exists()
    assert not blobs.object_exists(Keys.blob(upload.sha256))
    assert not list(store.list(Keys.INCOMING))
    assert not list(store.list("unfinished/"))
    road(upload, [CONTENT])  # the ticket is still good for the right bytes
    assert believed(store, CONTENT)


def test_bytes_that_are_here_already_must_be_delivered_all_the_same(store, notes, alice, cast) -> None:
    intake.receive_inline(notes, CONTENT)
    other = cast.repository("acme/other")
    upload = intake.create_upload(other, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), by=alice)
    with pytest.raises(DigestMismatch):
        intake.receive_upload(upload, [b"x" * len(CONTENT)])
    assert not other.uploaded_blobs.filter(blob=upload.sha256).exists()
    intake.receive_upload(upload, [CONTENT])
    assert other.uploaded_blobs.filter(blob=upload.sha256).exists()
    assert believed(store, CONTENT)


@both_roads
def test_an_empty_file_may_be_promised_and_delivered(store, notes, alice, road) -> None:
    upload = promise(notes, alice, b"")
    assert road(upload, []).size == 0
    assert believed(store, b"")


def test_a_ticket_without_a_delivery_has_expired(store, notes, alice) -> None:
    with pytest.raises(UploadExpired):
        intake.adopt_staged(promise(notes, alice))


def test_inline_bytes_are_believed_at_once(store, notes, alice) -> None:
    [digest] = intake.receive_inline(notes, b"# A card\n")
    assert digest == Digest(hashlib.sha256(b"# A card\n").hexdigest(), 9)
    assert believed(store, b"# A card\n")
    assert notes.uploaded_blobs.filter(blob=digest.sha256).exists()
