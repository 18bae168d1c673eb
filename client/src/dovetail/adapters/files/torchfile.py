"""Finds the tensors in a file of `torch.save`, in the zip format or the legacy one; nothing in it is executed.

It also writes the tensors of a safetensors file in that format, the same bytes every time. Formats:
torch/serialization.py (_save, _legacy_load), and the zip reader behind it (caffe2/serialize/inline_container).
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

from dovetail.adapters.files.archives import BROKEN
from dovetail.adapters.files.header import BYTES_PER_VALUE, MAX_TENSORS, Header, TensorInfo
from dovetail.adapters.files.pickle_interpreter import (
    ORDERED_DICT,
    STORAGES,
    TENSOR,
    Refused,
    Storage,
    Tensor,
    load,
    table,
)

MAX_PICKLE_BYTES = 32 * 2**20
MAX_MEMBERS = 2 * MAX_TENSORS
BLOCK_BYTES = 4 * 2**20
LOCAL, END = b"PK\x03\x04", b"PK\x05\x06"
MANY = 0xFFFF  # a placeholder for a number that is stored elsewhere
MEMBER = re.compile(
    r"data\.pkl|data/\d{1,9}|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id"
)
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # torch/serialization.py
AGAIN = "save it again with torch.save of torch 1.6 or newer"

FOLDER = 0x10  # an MS-DOS file attribute (APPNOTE.TXT 4.4.15)

Tensors = dict[str, Tensor]


def read(file: BinaryIO, *, nested: bool = False) -> Tensors:
    """Return the tensors of a seekable file by name; each lies within its storage, and each storage within the file.

    `nested` is that of `pickle_interpreter.table`.
    Raises `Refused` with a reason that completes "it cannot be used: …".
    """
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    try:
        return _read_zip(file, size, nested) if start == LOCAL else _read_old(file, size, nested)
    except Refused:
        raise
    except BROKEN as problem:
        raise Refused(f"it is damaged ({str(problem)[:100]})") from problem


# --- the zip ---------------------------------------------------------------------------------------------------------
def _read_zip(file: BinaryIO, size: int, nested: bool) -> Tensors:
    members = _members(file, size)
    if "data.pkl" not in members:
        raise Refused("the archive has no data.pkl")
    order = _bytes(file, members, "byteorder", b"little").strip()
    version = _bytes(file, members, "version", b"3").strip()
    if order != b"little" or not version.isdigit() or not 1 <= int(version[:4]) <= 10:
        raise Refused(
            f"it has the byte order {order[:10]!r} and the version {version[:10]!r}, which are not supported here"
        )
    storages: dict[str, Storage] = {}

    def find(key: str, dtype: str, values: int) -> Storage:
        start, length = members.get(f"data/{key}", (0, -1))
        if length != values * BYTES_PER_VALUE[dtype]:
            raise Refused(f"storage {key[:20]!r} of {values:,} {dtype} has {max(length, 0):,} bytes in the archive")
        return _same(storages, Storage(key, dtype, values, start))

    pickled = io.BytesIO(_bytes(file, members, "data.pkl"))
    tensors = _bounded(table(load(pickled, find), nested=nested))
    if pickled.read(1):
        raise Refused("data follows the table of tensors")
    return tensors


def _same(storages: dict[str, Storage], storage: Storage) -> Storage:
    """Return the storage; every reference to it must describe it alike. Raises `Refused`."""
    if storages.setdefault(storage.key, storage) != storage:
        raise Refused(f"it describes storage {storage.key[:20]!r} in two ways")
    return storage


def _members(file: BinaryIO, size: int) -> dict[str, tuple[int, int]]:
    """Return name → offset and length of a member; every checksum is verified, and no members overlap."""
    counts = _counts(file, size)
    with zipfile.ZipFile(file) as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    if not counts <= {len(infos), MANY}:
        raise Refused("the number of files in the archive differs from its directory")
    if not infos or infos[0].header_offset != 0 or len(infos) > MAX_MEMBERS:
        raise Refused("the archive is empty, begins late or holds too many files")
    folder = infos[0].filename.partition("/")[0]
    members: dict[str, tuple[int, int]] = {}
    position = 0
    for info in infos:
        name = info.filename.removeprefix(f"{folder}/")
        if name == info.filename or not MEMBER.fullmatch(name) or name in members:
            raise Refused(f"the archive contains {info.filename[:80]!r}, twice or where torch has nothing")
        members[name] = _proven(file, info, position)
        position = sum(members[name])
        if position > size:
            raise Refused(f"{name} reaches beyond the end of the file")
    return members


def _counts(file: BinaryIO, size: int) -> set[int]:
    """Return all numbers of files that the archive states (APPNOTE.TXT 4.3.14 to 4.3.16)."""
    file.seek(max(0, size - 98))
    tail = file.read(98)
    end = tail[-22:]
    if end[:4] != END or end[20:] != b"\0\0":
        raise Refused("data follows the archive, or the file is truncated")
    disk, first, here, all_of_them = struct.unpack("<4H", end[4:12])
    counts, disks = {here, all_of_them}, {disk, first} - {MANY}
    if tail[-42:-38] == b"PK\x06\x07":
        if len(tail) < 98 or tail[:4] != b"PK\x06\x06":
            raise Refused("the end of the archive is damaged")
        counts |= set(struct.unpack("<2Q", tail[24:40]))
        disks |= set(struct.unpack("<2I", tail[16:24])) | {*struct.unpack("<I", tail[-38:-34])}
    if disks - {0}:
        raise Refused("the archive says that it has several parts")
    return counts


def _proven(file: BinaryIO, info: zipfile.ZipInfo, position: int) -> tuple[int, int]:
    """Return offset and length of a member's bytes, which must be stored uncompressed. Raises `Refused`."""
    file.seek(info.header_offset)
    head = file.read(30)
    length, extra = int.from_bytes(head[26:28], "little"), int.from_bytes(head[28:30], "little")
    flags, method = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    same = head[:4] == LOCAL and file.read(length) == info.orig_filename.encode() and info.header_offset >= position
    if not same or info.filename != info.orig_filename:
        raise Refused(f"{info.filename[:80]!r} differs from its entry in the directory of the archive")
    if info.external_attr & FOLDER:  # torch's reader then copies nothing, and the tensor holds uninitialised memory
        raise Refused(f"{info.filename[:80]!r} is marked as a folder")
    if (flags | info.flag_bits) & 0x41 or method or info.compress_type or info.compress_size != info.file_size:
        raise Refused(f"{info.filename[:80]!r} is compressed or encrypted, unlike in torch.save")
    start, crc, remaining = info.header_offset + 30 + length + extra, 0, info.file_size
    file.seek(start)
    while remaining:
        block = file.read(min(remaining, BLOCK_BYTES))
        if not block:
            raise Refused(f"{info.filename[:80]!r} is truncated")
        crc, remaining = zlib.crc32(block, crc), remaining - len(block)
    if crc != info.CRC:
        raise Refused(f"{info.filename[:80]!r} is damaged: its checksum differs")
    return start, info.file_size


def _bytes(file: BinaryIO, members: Mapping[str, tuple[int, int]], name: str, default: bytes = b"") -> bytes:
    if name not in members:
        return default
    start, length = members[name]
    if length > MAX_PICKLE_BYTES:
        raise Refused(f"{name} has {length:,} bytes; the limit is {MAX_PICKLE_BYTES:,}")
    file.seek(start)
    return file.read(length)


# --- the legacy format -----------------------------------------------------------------------------------------------
def _read_old(file: BinaryIO, size: int, nested: bool) -> Tensors:
    """Read five pickles in a row, then for each storage its number of values and its bytes."""
    pickles = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    if load(pickles, _nothing) != MAGIC or load(pickles, _nothing) != PROTOCOL:
        raise Refused(f"it is not a file of torch.save; {AGAIN}")
    system = load(pickles, _nothing)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused(f"it was written on a machine of another byte order; {AGAIN}")
    storages: dict[str, Storage] = {}

    def find(key: str, dtype: str, values: int) -> Storage:
        if values * BYTES_PER_VALUE[dtype] > size:
            raise Refused(f"storage {key[:20]!r} of {values:,} {dtype} is larger than the file")
        return _same(storages, Storage(key, dtype, values))

    tensors = _bounded(table(load(pickles, find, extras=1), nested=nested))
    placed = _placed(file, load(pickles, _nothing), storages, pickles.tell(), size)
    return {name: replace(tensor, storage=placed[tensor.storage.key]) for name, tensor in tensors.items()}


def _placed(
    file: BinaryIO, keys: object, storages: Mapping[str, Storage], position: int, size: int
) -> dict[str, Storage]:
    names = [key for key in keys if type(key) is str] if isinstance(keys, list) else []
    if not isinstance(keys, list) or not len(keys) == len(names) == len(storages) or set(names) != storages.keys():
        raise Refused("its list of storages does not match its tensors")
    placed: dict[str, Storage] = {}
    for key in names:
        file.seek(position)
        storage = storages[key]
        if int.from_bytes(file.read(8), "little") != storage.values:
            raise Refused(f"storage {key[:20]!r} has a different number of values in the file")
        placed[key] = replace(storage, start=position + 8)
        position += 8 + storage.values * BYTES_PER_VALUE[storage.dtype]
    if position != size:
        raise Refused(f"its storages end at byte {position:,} but the file at {size:,}")
    return placed


def _nothing(key: str, dtype: str, values: int) -> Storage:
    raise Refused("it refers to a missing storage")


def _bounded(tensors: Tensors) -> Tensors:
    if len(tensors) > MAX_TENSORS:
        raise Refused(f"it has {len(tensors):,} tensors; the limit is {MAX_TENSORS:,}")
    return tensors


STORAGE_OF = {dtype: name for name, dtype in STORAGES.items()}
ALIGNMENT = 64  # of the bytes of a storage in the file, as in torch
WHEN = (1980, 1, 1, 0, 0, 0)


class Unwritable(ValueError):
    """A tensor has a dtype for which files of torch.save have no storage."""


def write(header: Header, source: BinaryIO, target: BinaryIO) -> None:
    """Write a zip with an OrderedDict of tensors, each with a storage of its own. Raises `Unwritable`."""
    pickled = pickle_of(header.tensors)
    with zipfile.ZipFile(target, "w") as archive:
        _member(archive, "data.pkl", [pickled], len(pickled))
        _member(archive, "byteorder", [b"little"], 6)
        for number, tensor in enumerate(header.tensors.values()):
            _member(archive, f"data/{number}", _blocks(tensor, source), tensor.size)
        _member(archive, "version", [b"3\n"], 2)


def pickle_of(tensors: Mapping[str, TensorInfo]) -> bytes:
    """Return a pickle (protocol 2) that names each tensor; a storage's key is the tensor's number."""
    parts = [b"\x80\x02", _global(ORDERED_DICT), b")R("]
    for number, (name, tensor) in enumerate(tensors.items()):
        if tensor.dtype not in STORAGE_OF:
            raise Unwritable(f"{name} is {tensor.dtype}, which torch.save cannot store")
        storage = _global(f"torch {STORAGE_OF[tensor.dtype]}Storage")
        reference = [_text("storage"), storage, _text(str(number)), _text("cpu"), _number(tensor.values)]
        strides = [_product(tensor.shape[at + 1 :]) for at in range(len(tensor.shape))]
        parts += [_text(name), _global(TENSOR), b"((", *reference, b"tQ", _number(0), _row(tensor.shape), _row(strides)]
        parts += [b"\x89", _global(ORDERED_DICT), b")RtR"]
    return b"".join([*parts, b"u."])


def _global(name: str) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n"


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _number(number: int) -> bytes:
    if number < 2**31:
        return b"J" + struct.pack("<i", number)
    return b"\x8a\x08" + struct.pack("<q", number)


def _row(numbers: tuple[int, ...] | list[int]) -> bytes:
    return b"(" + b"".join(map(_number, numbers)) + b"t"


def _product(numbers: tuple[int, ...]) -> int:
    product = 1
    for number in numbers:
        product *= number
    return product


def _blocks(tensor: TensorInfo, source: BinaryIO) -> Iterator[bytes]:
    step = BLOCK_BYTES // BYTES_PER_VALUE[tensor.dtype] * BYTES_PER_VALUE[tensor.dtype]
    for start in range(tensor.offset, tensor.end, step):
        source.seek(start)
        yield source.read(min(step, tensor.end - start))


def _member(archive: zipfile.ZipFile, name: str, blocks: Iterator[bytes] | list[bytes], size: int) -> None:
    info = zipfile.ZipInfo(f"archive/{name}", WHEN)
    info.file_size = size
    assert archive.fp is not None
    before = archive.fp.tell() + 30 + len(info.filename) + 4
    room = -before % ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", room) + b"Z" * room
    with archive.open(info, "w") as member:
        for block in blocks:
            member.write(block)
