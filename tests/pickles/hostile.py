"""Files of torch.save put together by hand, piece by piece, so that each can lie about one thing."""

import io
import pickle
import struct
import zipfile


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def named(name: str) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"


def storage(key="0", kind="FloatStorage", values=6, said="storage", more=b"") -> bytes:
    number = b"\x8a\x08" + struct.pack("<q", values)
    return b"(" + text(said) + named(f"torch {kind}") + text(key) + text("cpu") + number + more + b"tQ"


def tensor(held=None, offset=0, shape=(2, 3), stride=(3, 1), call="torch._utils _rebuild_tensor_v2") -> bytes:
    at = b"\x8a\x08" + struct.pack("<q", offset)
    hooks = named("collections OrderedDict") + b")R"
    return named(call) + b"(" + (held or storage()) + at + numbers(*shape) + numbers(*stride) + b"\x89" + hooks + b"tR"


def table(*pairs: bytes, after=b"") -> bytes:
    """A dict of names and tensors, each given as instructions."""
    return b"\x80\x02}(" + b"".join(pairs) + b"u" + after + b"."


def archive(pickled: bytes, storages=None, method=zipfile.ZIP_STORED, also=()) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        file.writestr("archive/data.pkl", pickled)
        for key, data in ({"0": bytes(24)} if storages is None else storages).items():
            file.writestr(f"archive/data/{key}", data)
        for name, data in also:
            file.writestr(name, data)
    return made.getvalue()


def old(pickled: bytes, keys=("0",), bodies=None, system=None) -> bytes:
    """A file of the kind before torch 1.6."""
    head = (0x1950A86A20F9469CFC6C, 1001, system or {"protocol_version": 1001, "little_endian": True})
    start = b"".join(pickle.dumps(part, protocol=2) for part in head)
    end = b"".join(struct.pack("<q", len(body) // 4) + body for body in (bodies or (bytes(24),)))
    return start + pickled + pickle.dumps(list(keys), protocol=2) + end


W = text("w")
SOUND = archive(table(W, tensor()))
OLD = old(table(W, tensor(storage(more=b"N"))))
SYSTEM = b"\x80\x02cos\nsystem\n" + text("true") + b"\x85R."

# No tables of tensors, each with a word of the reason; what is in IMPORTS would run code if it were opened.
IMPORTS = {
    "a call of os.system": (archive(SYSTEM), "os system"),
    "a call in place of a tensor": (archive(table(W, b"cos\nsystem\n" + text("true") + b"\x85R")), "os system"),
    "a name from the stack by way of the memo": (
        archive(b"\x80\x04\x8c\x02os\x940\x8c\x06system\x940\x8c\x0bcollections\x8c\x0bOrderedDict00h\x00h\x01\x93)R."),
        "os system",
    ),
    "a name that is made up": (archive(b"\x80\x04\x8c\x02os\x8c\x06system\x86\x94\x930."), "computed at run time"),
    "an extension": (archive(b"\x80\x02\x82\x01)R."), "extension"),
    "an old instance": (archive(b"\x80\x02(ios\nsystem\n."), "os system"),
    "an object with __setstate__": (archive(table(W, b"ctorch.nn\nModule\n)\x81}b")), "torch.nn Module"),
    "a loader within torch": (archive(table(W, b"ctorch.hub\nload\n" + text("x") + b"\x85R")), "torch.hub load"),
    "code after a sound table": (archive(table(W, tensor())[:-1] + SYSTEM[2:]), "os system"),
    "the old kind with a call": (old(table(W, b"cos\nsystem\n" + text("true") + b"\x85R")), "os system"),
    "protocol 5 with frames": (archive(b"\x80\x05\x95\x10\0\0\0\0\0\0\0" + SYSTEM[2:]), "os system"),
}
LIES = {
    "a storage larger than its member": (archive(table(W, tensor(storage(values=6000)))), "has 24 bytes"),
    "a storage that is not there": (archive(table(W, tensor(storage(key="7")))), "has 0 bytes"),
    "a path for a storage": (archive(table(W, tensor(storage(key="../data.pkl")))), "has 0 bytes"),
    "a huge storage": (archive(table(W, tensor(storage(values=2**60)))), "differently from torch"),
    "a storage of two types": (
        archive(table(W, tensor(), text("v"), tensor(storage(kind="IntStorage")))), "in two ways",
    ),
    "a tensor that ends after its storage": (archive(table(W, tensor(offset=1))), "reaches value 6"),
    "a negative offset": (archive(table(W, tensor(offset=-1))), "before its storage"),
    "a negative stride": (archive(table(W, tensor(stride=(3, -1)))), "other than a number from 0 up"),
    "a negative size": (archive(table(W, tensor(shape=(-2, 3)))), "other than a number from 0 up"),
    "strides for another shape": (archive(table(W, tensor(stride=(1,)))), "different numbers of strides"),
    "a tensor of millions of copies": (
        archive(table(W, tensor(shape=(2**20, 2**20), stride=(0, 0)))), "more than an adapter may",
    ),
    "a name twice": (archive(table(W, tensor(), W, tensor())), "twice"),
    "a name that is a path": (archive(table(text("../w"), tensor())), "not a tensor name"),
    "a persistent id that is no storage": (archive(table(W, tensor(storage(said="module")))), "not an array of values"),
    "a persistent id with more in it": (archive(table(W, tensor(storage(more=b"N")))), "not an array of values"),
    "a call of what is no name": (archive(table(W, b"K\x01)R")), "not a name"),
    "an OrderedDict that is filled by a call": (
        archive(table(W, named("collections OrderedDict") + b"]\x85R")), "differently from torch",
    ),
    "attributes for a table": (
        archive(b"\x80\x02" + named("collections OrderedDict") + b")R}" + text("update") + b"K\x01sb."), "attributes",
    ),
    "attributes for a tensor": (archive(table(W, tensor() + b"}b")), "attributes"),
    "no table at all": (archive(b"\x80\x02K\x01."), "not a table of tensors"),
    "a table within the table": (archive(table(W, b"}")), "is not a tensor"),
    "an empty table": (archive(b"\x80\x02}."), "contains no tensors"),
    "a key that is no text": (archive(table(b"K\x01", tensor())), "not a string"),
    "what lies below a mark": (archive(b"\x80\x02}(0."), "uses POP"),
    "a memo that is empty": (archive(b"\x80\x02h\x05."), "do not exist"),
    "a text of 4 GB": (archive(b"\x80\x02X\xff\xff\xff\xff."), "read to its end"),
    "protocol 4 without a call": (archive(b"\x80\x04\x95\x02\0\0\0\0\0\0\0}."), "FRAME"),
    "another archive in place of the pickle": (archive(archive(b"\x80\x02}.")), ""),
    "a zip bomb": (archive(table(W, tensor()), {"0": bytes(1 << 20)}, zipfile.ZIP_DEFLATED), "compressed"),
    "a member twice": (
        archive(table(W, tensor()), also=[("archive/data/1", bytes(24))]).replace(b"data/1", b"data/0"), "twice",
    ),
    "a member that torch has no use for": (archive(table(W, tensor()), also=[("archive/code/x.py", b"")]), "code/x.py"),
    "a member outside the folder": (archive(table(W, tensor()), also=[("../x", b"")]), "'../x'"),
    "an archive that begins late": (b"PK\x03\x04" + SOUND, ""),
    "bytes after the archive": (SOUND + b"more", "follows the archive"),
    "an archive cut off": (SOUND[:-40], "truncated"),
    "a byte of a storage changed": (SOUND.replace(bytes(24), bytes(23) + b"\x01"), "checksum"),
    "big-endian values": (archive(table(W, tensor()), also=[("archive/byteorder", b"big")]), "byte order"),
    "nothing": (b"", "read to its end"),
    "not torch.save": (b"\x80\x02}.", "not a file of torch.save"),
    "the old kind of another machine": (old(b"", system={"little_endian": False}), "byte order"),
    "the old kind with views of storages": (old(table(W, tensor(storage(more=b"}")))), "not an array of values"),
    "the old kind cut off": (OLD[:-5], "but the file at"),
    "the old kind with a storage twice": (
        old(table(W, tensor(storage(more=b"N"))), ("0", "0"), (bytes(24),) * 2), "list of storages",
    ),
    "the old kind with another size in place": (
        old(table(W, tensor(storage(more=b"N"))), ("0",), (bytes(28),)), "a different number of values",
    ),
}  # fmt: skip
