"""Pickles are distinguished from other files: random bytes pass, and a file with reachable imports never does."""

import io
import pickle
import random
import tarfile

import pytest

from dovetail.adapters import check, pickles, reach
from dovetail.adapters.reach import NEWEST_PROTOCOL, OPCODES, reaches_import
from tests import adapters
from tests.pickles.hostile import SYSTEM, archive

OLD_SYSTEM = b"cos\nsystem\n(S'true'\ntR."


class Imported(Exception):
    """An unpickler came to an import."""


def imports(unpickler, data: bytes, encoding: str) -> bool:
    """Return whether this unpickler asks for a name while it reads; nothing is ever imported."""

    class Watched(unpickler):
        def find_class(self, module, name):
            raise Imported

        def persistent_load(self, said):
            return None

    try:
        Watched(io.BytesIO(data), encoding=encoding).load()
    except Imported:
        return True
    except Exception:  # noqa: BLE001 - of spoilt bytes it raises what it likes
        return False
    return False


def argument(name: str, dice: random.Random) -> bytes:
    """An argument as it may be, as only some readers take it, or one too long."""
    arg = next(one for one in OPCODES.values() if one.name == name).arg
    if arg is None:
        return b""
    if name == "PROTO":
        return bytes([dice.choice((0, 1, 2, 4, 5, 5, 6, 0x80))])
    if name in ("GLOBAL", "INST"):
        return dice.choice((b"os\nsystem\n", b"\xff\nx\n", b"\n\n", "\u00e9\nx\n".encode(), b"os\nsystem", b"os\n"))
    if arg.n == -1:
        lines = (b"1", b"0x10", b"01", b"-0", b"1_0", b" 1", b"1L", b"1.5", b"1e400", b"'a'", b"'\\xe9'", b'"b"',
                 "'\u00e9'".encode(), b"\xff", b"\\u00e9", b"", b"nan")  # fmt: skip
        return dice.choice(lines) + dice.choice((b"\n", b"\n", b"\n", b"\r\n", b""))
    if arg.n >= 0:
        return bytes([dice.choice((0, 1, 2, 200)), *bytes(arg.n - 1)])
    width = {-2: 1, -3: 4, -4: 4, -5: 8}[arg.n]
    length = dice.choice((0, 1, 2, 3, 3, 3, 90))
    return bytes([length, *bytes(width - 1)]) + dice.choice((b"abc", b"\xff\xfe\n", b"os\n"))[:length]


def program(dice: random.Random) -> bytes:
    """Instructions in a row, more often those that put something on the stack, then an import or none."""
    names = [opcode.name for opcode in OPCODES.values() if opcode.name != "BYTEARRAY8"]  # cut off, C complains loudly
    pushes = [one.name for one in OPCODES.values() if one.name in names and not one.stack_before and one.stack_after]
    said = [dice.choice(pushes if dice.random() < 0.6 else names) for _ in range(dice.randrange(12))]
    code = {opcode.name: byte for byte, opcode in OPCODES.items()}
    body = b"".join(code[name] + argument(name, dice) for name in said)
    ends = (b"cos\nsystem\n", b"(ios\nsystem\n", b"\x8c\x02os\x8c\x06system\x93", b"\x93", b"ios\nsystem\n", b"")
    return body + dice.choice(ends) + dice.choice((b".", b"R.", b"\x0e", b""))


@pytest.mark.parametrize("unpickler", [pickle.Unpickler, pickle._Unpickler], ids=["C", "Python"])
def test_no_unpickler_comes_to_an_import_that_was_not_foreseen(unpickler):
    dice = random.Random(11)
    imported = told = 0
    for _ in range(10_000):
        data = program(dice)
        reaches = reaches_import(io.BytesIO(data))
        told += reaches
        if imports(unpickler, data, dice.choice(("ASCII", "latin1", "bytes", "utf-8"))):
            imported += 1
            assert reaches, data
    assert imported > 500
    assert told < 4 * imported, "what is told says something"


@pytest.mark.parametrize(
    "data",
    [
        OLD_SYSTEM,
        b"I0x10\n" + OLD_SYSTEM,
        b"S\xe9\n" + OLD_SYSTEM,
        OLD_SYSTEM[:11] + b"\x0e",
        b"N." + OLD_SYSTEM,
        b"(ios\nsystem\n.",
        b"ios\nsystem\n.",
        SYSTEM[2:],
        b"\x8c\x02os\x8c\x06system\x93)R.",
        b"\x82\x01)R.",
        b"N0" * 60,
    ],
    ids=["protocol 0", "a number that C alone takes", "a text that C alone takes", "cut off behind the import",
         "behind another pickle", "an old instance", "one without a mark", "protocol 2 that does not say so",
         "names from the stack", "a number of copyreg that is called", "too long to tell"],
)  # fmt: skip
def test_a_pickle_by_any_name_of_bin_is_unsafe(data, monkeypatch):
    monkeypatch.setattr(reach, "MAX_OPCODES", 100)
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


@pytest.mark.parametrize(
    ("body", "is_fine"),
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


def test_random_bytes_are_no_pickle():
    assert [number for number in range(5000) if pickles.read("data.bin", io.BytesIO(random_bytes(number)))] == []


@pytest.mark.parametrize(
    "data",
    [b"", bytes(4096), b"\x80" * 4096, b"\xff" * 4096, b"0.5 0.25\n" * 99, b"7z\xbc\xaf\x27\x1c" + bytes(99),
     b"\x82\x01" + bytes(99), b"c\xff\xfe\nx\n", b"X\xff\xff\xff\xff", bytes([0x80, NEWEST_PROTOCOL + 1])],
    ids=["nothing", "zeros", "grey", "white", "numbers", "7z", "an extension alone", "no UTF-8", "cut off", "protocol"],
)  # fmt: skip
def test_what_no_unpickler_gets_through_is_no_pickle(data):
    assert pickles.read("data.bin", io.BytesIO(data)) is None


@pytest.mark.parametrize(
    "name", ["adapter_model.bin", "sub/pytorch_model-1.BIN", "optimizer.bin", "x.pt", "x.pkl", "x.ckpt"]
)
def test_what_a_loader_opens_by_its_name_must_be_read_to_its_end(name):
    found = pickles.read(name, io.BytesIO(random_bytes(1)))
    assert found is not None
    assert found.reason


def test_an_argument_that_reaches_beyond_its_frame_is_unsafe_since_readers_go_on_at_different_places():
    """In a line: a frame of two bytes, the number 256, a text of 48, the end. C takes the number from behind it."""
    hidden = b"\x80\x04\x95\x02" + bytes(7) + b"M\0" + b"\1\x8c" + b"0" + b"cos\nsystem\n".ljust(48) + b"."
    assert imports(pickle.Unpickler, hidden, "ASCII")
    assert not imports(pickle._Unpickler, hidden, "ASCII")
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
