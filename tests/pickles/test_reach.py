"""Pickles are distinguished from other files: random bytes pass, and a file with reachable imports never does."""

import gzip
import io
import lzma
import pickle
import random
import tarfile
import zipfile
from collections import OrderedDict

import pytest

from dovetail.adapters import check
from dovetail.adapters.files import pickles, reach
from dovetail.adapters.files.pickle_imports import MAX_PICKLE_BYTES
from dovetail.adapters.files.reach import NEWEST_PROTOCOL, reaches_import
from tests import adapters
from tests.pickles import unpicklers
from tests.pickles.hostile import SYSTEM, archive
from tests.pickles.unpicklers import Watched
from tests.sweep import sweep

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape:DeprecationWarning")  # of pickletools, and unpicklers
OLD_SYSTEM = b"cos\nsystem\n(S'true'\ntR."


@pytest.mark.merge
def test_nothing_that_an_unpickler_imports_or_calls_is_missed():
    """Programs at random, the same in each run; `make fuzz ARGS=reach` tries others."""
    dice = random.Random(11)
    told = imported = called = 0
    for _ in range(8_000):
        data = unpicklers.program(dice)
        told += reaches_import(io.BytesIO(data))
        counts = unpicklers.judge(data)
        imported, called = imported + counts[0], called + counts[1]
    assert called > 500
    assert told < 2 * imported, "what is told says something"


@sweep("data", [
        OLD_SYSTEM,
        b"I0x10\n" + OLD_SYSTEM,
        b"S\xe9\n" + OLD_SYSTEM,
        OLD_SYSTEM[:11] + b"\x0e",
        b"N." + OLD_SYSTEM,
        b"(ios\nsystem\n.",
        b"(Vtrue\nios\nsystem\n",
        b"cos\nsystem\n(Vtrue\ntRThis is the end.",
        b"ctorch.hub\nload\nVx\nRwords",
        b"cevil\nrun\n(Vtrue\ntR",
        b"csys\npath\nV/tmp\na.",
        SYSTEM[2:],
        b"\x8c\x02os\x8c\x06system\x93)R.",
        b"\x82\x01)R.",
        b"N0" * 60,
    ])  # fmt: skip
def test_a_pickle_by_any_name_of_bin_is_unsafe(data, monkeypatch):
    monkeypatch.setattr(reach, "MAX_OPCODES", 100)
    for name in ("data.bin", "weights.pt", "x.pkl"):
        found = pickles.read(name, io.BytesIO(data))
        assert found is not None
        assert not found.only_tensors
    found = pickles.read("data.bin", io.BytesIO(data))
    assert found is not None
    assert not found.only_tensors


def random_bytes(number: int) -> bytes:
    return random.Random(number).randbytes(4096)


GET = b"c__builtin__\ngetattr\n"
CLASS = b"ctransformers.trainer_utils\nIntervalStrategy\n"


def call(*pushed: bytes) -> bytes:
    return b"".join(pushed) + b"\x86R"


def text(value: bytes) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value


@sweep(
    "body, is_fine",
    [
        (call(GET, b"q\x00", CLASS, b"q\x01", text(b"NO"), b"q\x02"), True),
        (call(GET, b"q\x00", CLASS, b"q\x01", text(b"NO")) + call(b"h\x00h\x01", text(b"STEPS")), True),
        (call(GET, CLASS, text(b"system")), False),  # no constant
        (call(GET, b"ctorch\nos\n", text(b"CDLL")), False),  # no class
        (call(GET, b"q\x00", CLASS, text(b"NO")) + call(b"h\x00ctorch\nos\n", text(b"system")), False),
        (call(b"\x80\x04", GET, b"\x94", CLASS, text(b"NO")) + call(b"h\x00ctorch\nos\n", text(b"system")), False),
        (call(CLASS, b"q\x00", GET, b"q\x00", CLASS, text(b"NO")) + call(b"h\x00", CLASS, text(b"x")), False),
        (call(GET, b"2", CLASS, text(b"NO")), False),  # one more of it stays on the stack
        (call(GET, text(b"NO"), CLASS), False),
        (GET, False),
        (b"\x80\x04\x8c\x05torch\x8c\tos.system\x93", False),  # a dotted name leads on
        (b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93", False),
    ],
)
def test_a_trainer_may_pickle_members_of_enumerations_and_nothing_else_by_getattr(body: bytes, is_fine: bool):
    """Python before 3.11.4, such as that of Debian 12, pickles members so."""
    files = adapters.openers(adapters.lora() | {"training_args.bin": b"\x80\x02" + body + b"."})
    (finding,) = [one for one in check(files) if one.id == "file.pickle"]
    assert (finding.outcome != "failed") == is_fine, finding.message


@sweep("data", [b"", bytes(4096), b"\x80" * 4096, b"\xff" * 4096, b"0.5 0.25\n" * 99, b"7z\xbc\xaf\x27\x1c" + bytes(99),
     b"\x82\x01" + bytes(99), b"c\xff\xfe\nx\n", b"X\xff\xff\xff\xff", bytes([0x80, NEWEST_PROTOCOL + 1]),
     b"ios\nandroid\nweb\n", b"cos\nsin\ntan\n", b"V1\n(K\x01R."])  # fmt: skip
def test_what_no_unpickler_gets_through_is_no_pickle(data):
    assert pickles.read("data.bin", io.BytesIO(data)) is None


def test_a_pickle_that_is_cut_off_is_unsafe_whatever_opens_it():
    for name in ("adapter_model.bin", "sub/pytorch_model-1.BIN", "x.pt", "x.pkl", "x.ckpt", "notes.txt"):
        found = pickles.read(name, io.BytesIO(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(X\xff\xff"))
        assert found is not None
        assert found.reason


def test_an_argument_that_reaches_beyond_its_frame_is_unsafe_since_readers_go_on_at_different_places():
    """In a line: a frame of two bytes, the number 256, a text of 48, the end. C takes the number from behind it."""
    hidden = b"\x80\x04\x95\x02" + bytes(7) + b"M\0" + b"\1\x8c" + b"0" + b"cos\nsystem\n".ljust(48) + b"."
    imported = {
        name: Watched(unpickler, hidden, "ASCII", has=lambda _: True).imported
        for name, unpickler in unpicklers.UNPICKLERS.items()
    }
    assert imported == {"C": True, "Python": False}
    for name, data in (("x.pt", hidden), ("x.bin", hidden), ("x.bin", hidden[2:]), ("x.pt", archive(hidden))):
        found = pickles.read(name, io.BytesIO(data))
        assert found is not None
        assert not found.only_tensors, name


def test_a_pickle_in_frames_as_python_writes_it_is_read_to_its_end():
    held = {"text": "x" * 70_000, "bytes": bytes(200_000), "numbers": list(range(40_000))}
    for protocol in (4, 5):
        found = pickles.read("x.pt", io.BytesIO(pickle.dumps(held, protocol=protocol)))
        assert found is not None
        assert found.only_tensors, found.reason


@pytest.mark.parametrize("first", [".", "storages"])
@pytest.mark.parametrize("name", ["data.bin", "model.pt"])
def test_the_tar_that_torch_once_wrote_is_unsafe_whatever_its_first_member_is_called(first, name):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for member in (first, "pickle"):
            info = tarfile.TarInfo(member)
            info.size = len(SYSTEM)
            archive.addfile(info, io.BytesIO(SYSTEM))
    found = pickles.read(name, io.BytesIO(made.getvalue()))
    assert found is not None
    assert "tar" in found.reason


def test_an_adapter_with_unknown_data_beside_it_is_judged_as_if_it_were_not_there():
    files = adapters.lora() | {"data.bin": random_bytes(3), "big.bin": b"\x0e" + bytes(999)}
    said = {one.id: one for one in check({path: (lambda data=data: io.BytesIO(data)) for path, data in files.items()})}
    assert said["file.pickle"].outcome == "passed"
    assert [one.id for one in said.values() if one.outcome == "failed"] == []


PLAIN = pickle.dumps(OrderedDict(), protocol=2)  # a pickle of which everything is allowed
FILLER = b"B" + (2 << 20).to_bytes(4, "little") + bytes(2 << 20) + b"0"


def array_of(descr: str) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n".encode()
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + OLD_SYSTEM


def test_no_road_to_an_import_that_readers_take_is_overlooked():
    """Each has been followed by an unpickler, numpy, joblib, torch or Keras."""
    short_frame = b"\x80\x04\x95\x14" + bytes(7) + b"K\1." + b"\xff" * 17
    keras = io.BytesIO()
    with zipfile.ZipFile(keras, "w") as made:
        made.writestr("config.json", '{"class_name" : "__lambd\\u0061__"}')
    npz = io.BytesIO()
    with zipfile.ZipFile(npz, "w") as made:
        made.writestr("x.npy", array_of("'O'"))
    long_npz = io.BytesIO()
    with zipfile.ZipFile(long_npz, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("x.npy", array_of("'O'") + bytes(MAX_PICKLE_BYTES))
    roads = {
        "a space before the L of a number": ("x.bin", b"L1 L\n0" + OLD_SYSTEM),
        "a long place in the memo": ("x.bin", b"Np" + b" " * 70_000 + b"0\n0" + OLD_SYSTEM),
        "a text to a library that evaluates it": ("x.bin", b"(V1+1\nisympy\nsympify\n"),
        "a frame that is not used up": ("x.pt", short_frame + OLD_SYSTEM),
        "the same behind an allowed import": ("x.pt", short_frame.replace(b"K\1.", PLAIN[2:])[:40] + OLD_SYSTEM),
        "protocol 0 behind an allowed pickle": ("x.pt", PLAIN + OLD_SYSTEM),
        "numbers between": ("x.pt", PLAIN + b"I1\n." + OLD_SYSTEM),
        "the sixth in a row": ("x.pt", PLAIN + b"N." * 4 + OLD_SYSTEM),
        "behind what is unpacked at first": ("x.joblib", gzip.compress(FILLER + OLD_SYSTEM, 1)),
        "the same by another packer": ("x.pkl.xz", lzma.compress(FILLER + OLD_SYSTEM, preset=0)),
        "behind all that is unpacked": ("x.joblib", gzip.compress(FILLER * 33 + OLD_SYSTEM, 1)),
        "an array as an archive with its end in front": ("x.npy", b"PK\5\6" + npz.getvalue()),
        "a long array in an archive": ("x.npz", long_npz.getvalue()),
        "a layer in other letters": ("x.keras", keras.getvalue()),
        "a layer behind a user's block": ("x.h5", bytes(2048) + b"\x89HDF\r\n\x1a\n" + b'"class_name": "__lambda__"'),
        **{descr: ("x.npy", array_of(descr)) for descr in
           ("'O'", "'object'", "'|\\x4f'", "'i4,O'", "'2O'", "'ob' 'ject'", "[('a', '<i4'), ('b', [('c', 'O')])]")},
    }  # fmt: skip
    missed = [road for road, (name, data) in roads.items() if not is_unsafe(name, data)]
    assert not missed


def test_what_only_resembles_such_a_road_is_data():
    words = b"The cat\nNo\n(a)\n" * 100_000
    files = {
        "vocab.bin.gz": gzip.compress(words), "vocab.txt.gz": gzip.compress(words),
        "random.bin.gz": gzip.compress(random_bytes(4) * 400),
        "x.pt": PLAIN * 5 + random_bytes(5), "y.pt": PLAIN + b"\nwords\ncat\n", "z.pt": PLAIN + bytes(99),
        "base64.bin": b"Np" + b"QUJD" * 30_000 + b"\n", "frames.pt": pickle.dumps("x" * 200_000, 4) * 3,
        "triples.npy": array_of("[('object', '<f4'), ('H2O', '<U10'), ('O', '<f4', (3,))]"),
    }  # fmt: skip
    held = [name for name, data in files.items() if is_unsafe(name, data)]
    assert not held


def is_unsafe(name: str, data: bytes) -> bool:
    found = pickles.read(name, io.BytesIO(data))
    return found is not None and not found.is_data
