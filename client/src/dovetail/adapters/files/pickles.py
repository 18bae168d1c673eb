"""Recognises pickles, and other files that run code when they are loaded, by their bytes; nothing is executed.

A pickle may lie in another file: an archive, a compressed file, an array of numpy. `read` looks into all of these.
"""

import io
import pickletools
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from dovetail.adapters.files import archives, hdf5
from dovetail.adapters.files.archives import (
    BROKEN,
    START_BYTES,
    Budget,
    TooLargeError,
    is_compressed,
    open_zip,
    unpacked,
)
from dovetail.adapters.files.pickle_imports import MAX_OPCODES, MAX_PICKLE_BYTES, Pickle, scan_bytes
from dovetail.adapters.files.reach import Reach, is_text, reaches_import

DECLARED = (".pkl", ".pickle", ".joblib", ".dill")  # nothing but pickles is called so
SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", *DECLARED)
# Suffixes that joblib, pandas and people append to the name of a compressed file
PACKED = (".gz", ".gzip", ".bz2", ".xz", ".lzma", ".z", ".zst", ".zstd", ".lz4", ".br", ".zip", ".7z", ".tar", ".tgz")
# The *.bin files that peft, adapters, transformers, accelerate and diffusers open by default; others may be anything.
OPENED = (
    *("adapter", "pytorch_", "diffusion_pytorch_", "learned_embeds", "training_args", "optimizer", "scheduler"),
    *("scaler", "rng_state", "embedding"),
)
ZIPPED = (".zip", ".keras", ".npz")  # opened by readers that find an archive by its end, whatever is before it
OF_HDF5 = (".h5", ".hdf5", ".he5")
MAX_DEPTH = 3  # an archive in an archive in an archive
MAX_MEMBERS, MAX_INSIDE = 20_000, 500  # files of an archive that are looked at, and pickles in it that are read
MAX_HEAD_BYTES = 2**20  # of a compressed file; the rest is unpacked only if this begins like something to look into
SPENT = "it unpacks to more data than is searched"
TAR = "it is a tar archive, in which old torch releases kept pickles; they were not searched"
BEHIND = "another pickle after it would import names that were not searched"
LAMBDA = "it contains a Lambda layer of Keras: code that runs when the model is loaded"
UNSEEN = "it stores its attributes in a form that is not read here, in more bytes than are searched"
LAMBDAS = re.compile(rb'"class_name"\s*:\s*"__lambda__"|"function_type"\s*:\s*"lambda"')  # as Keras 3 and 2 write one
ESCAPED = re.compile(rb"\\u00([2-7][\da-fA-F])")  # a character of JSON that needs none
PROTOCOLS = tuple(bytes([0x80, number]) for number in range(6))  # the first bytes of a pickle since protocol 2
ZIP, NO_ZIP, HDF5 = b"PK\x03\x04", b"PK\x05\x06", b"\x89HDF\r\n\x1a\n"
TENSORS = re.compile(r"(?:.*/)?data/\d+")  # raw values, beside the data.pkl of torch.save
NOT_UNPACKED = (b'\x04"M\x18', b"(\xb5/\xfd")  # lz4 and zstd
SEVEN_ZIP = b"7z\xbc\xaf"
PIECE = 1 << 22
MAX_HDF5 = 1 << 30  # bytes of a file of HDF5 whose attributes are not found by its structure


def read(name: str, file: BinaryIO, budget: Budget | None = None, depth: int = 0) -> Pickle | None:
    """Return the pickle in a file, or None: text and other bytes are data, whatever the name of the file.

    A pickle is what an unpickler follows to an import or a call. One that cannot be read to its end counts as unsafe:
    scanners that skip unknown data have been exploited. `budget` limits the work, by default by the size of the file;
    beyond it only what is named a pickle counts as one.
    """
    budget = budget or Budget.of(file)
    start = file.read(START_BYTES)
    file.seek(0)
    suspect = name.lower().endswith(SUFFIXES)
    if budget.is_spent:
        return Pickle(frozenset(), SPENT) if suspect else None
    if start[:4] == ZIP or ((suspect or name.lower().endswith(ZIPPED) or start[:4] == NO_ZIP) and _ends_as_zip(file)):
        return _in_zip(file, budget, depth, suspect=suspect)
    if start[:6] == archives.MAGIC:
        return _in_array(file, budget)
    if start[:8] == HDF5:
        return _in_hdf5(file)
    if name.lower().endswith(OF_HDF5) and _is_hdf5_behind(file):
        return _in_bytes_of_hdf5(file)
    if _is_tar(start):
        return Pickle(frozenset(), TAR) if suspect else _in_tar(file, budget, depth)
    if _is_sealed(name.lower(), start, suspect=suspect):
        return Pickle(frozenset(), "it is compressed in a form that is not unpacked here")
    if depth < MAX_DEPTH and is_compressed(start) and (inside := _in_compressed(name, file, start, budget, depth)):
        return inside
    return _plain(name.lower(), file, budget)


def looks_pickled(name: str, start: bytes = b"") -> bool:
    """Return whether a file is a pickle by its name or its first START_BYTES, whatever `read` finds in it.

    The first bytes of one are a protocol and an instruction, or those of an archive of torch.save; readers unpack a
    compressed one. A safetensors file, whose first bytes are a number, is never opened as one.
    """
    name = name.lower()
    while name.endswith(PACKED):
        name = name.rpartition(".")[0]
    if name.endswith((*SUFFIXES, ".safetensors")):
        return name.endswith(SUFFIXES)
    if is_compressed(start):
        start = unpacked(io.BytesIO(start), start, START_BYTES)
    if start[:4] == ZIP:
        size = int.from_bytes(start[26:28], "little")  # of the first member's name, which is behind 30 bytes
        return _is_pickled(start[30 : 30 + size].decode("latin-1"))
    return start[:2] in PROTOCOLS and start[2:3].decode("latin-1") in pickletools.code2op  # type: ignore[attr-defined]  # the stubs lack it


def _plain(name: str, file: BinaryIO, budget: Budget) -> Pickle | None:
    """Return the pickle with which a file begins.

    Words of a text may be read as an import, which nobody has or calls: it counts where all files are pickles.
    """
    suspect = name.endswith(SUFFIXES)
    least = Reach.WORDS if name.endswith(DECLARED) else Reach.CALL
    if suspect and not is_text(file.read(MAX_HEAD_BYTES)):
        least = min(least, Reach.IMPORT)
    is_pickle = reaches_import(file, least)
    budget.step(min(file.tell(), MAX_OPCODES))
    file.seek(0)
    is_plain = not is_pickle and suspect and file.read(2) in PROTOCOLS
    file.seek(0)
    if not is_pickle and not is_plain:
        return None
    pickle = _scan(file, budget)
    if is_plain:
        return None if pickle.imports or pickle.reason else pickle
    return pickle if pickle.imports or pickle.reason else replace(pickle, reason=BEHIND)


def _scan(file: BinaryIO, budget: Budget) -> Pickle:
    pickle, size = scan_bytes(file.read(MAX_PICKLE_BYTES))
    budget.step(min(size, MAX_OPCODES))
    return pickle


def _ends_as_zip(file: BinaryIO) -> bool:
    is_zip = zipfile.is_zipfile(file)
    file.seek(0)
    return is_zip


def _is_sealed(name: str, start: bytes, *, suspect: bool) -> bool:
    """Return whether something that is named a pickle is packed in a way that is not unpacked here."""
    if start[:4] == SEVEN_ZIP:
        return suspect and _is_opened(name)
    return start[:4] in NOT_UNPACKED and (suspect or any(f"{end}." in name for end in SUFFIXES))


def _is_opened(name: str) -> bool:
    """Return whether a library opens a file of this name as a pickle, whatever it contains."""
    name = name.rpartition("/")[2]
    return not name.endswith(".bin") or name.startswith(OPENED)


def _is_tar(start: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


# --- files that hold others ------------------------------------------------------------------------------------------
def _in_zip(file: BinaryIO, budget: Budget, depth: int, *, suspect: bool) -> Pickle | None:
    try:
        with open_zip(file) as archive:
            members = sorted(archive.infolist(), key=_order)[:MAX_MEMBERS]
            is_torch = any(info.filename.endswith("data.pkl") for info in members)
            looked_at = [info for info in members if not (is_torch and TENSORS.fullmatch(info.filename))]
            pickles = list(_bounded(_zipped(archive, looked_at, budget, depth, suspect=suspect)))
    except BROKEN as error:
        is_unsafe = _names_pickle(file) or (suspect and isinstance(error, TooLargeError))
        return Pickle(frozenset(), f"the archive cannot be read: {error}") if is_unsafe else None
    if not pickles:
        return None
    return _together(pickles) if suspect or is_torch else _worst(pickles)


def _names_pickle(file: BinaryIO) -> bool:
    """Return whether a broken archive begins like one of torch.save, which other readers may still open."""
    file.seek(0)
    return b".pkl" in file.read(MAX_HEAD_BYTES)


def _is_pickled(name: str) -> bool:
    return name.lower().endswith((".pkl", ".pickle"))


def _order(info: zipfile.ZipInfo) -> tuple[bool, bool, int, int]:
    """Return a sort key: what is named a pickle first, little work before much, small members as they lie."""
    name, size = info.filename, max(info.file_size, 1 << 16)  # one read brings many small members
    return not _is_pickled(name), not name.lower().endswith(SUFFIXES), size, info.header_offset


def _zipped(
    archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], budget: Budget, depth: int, *, suspect: bool
) -> Iterator[Pickle | None]:
    """Yield the pickles in members; one that cannot be unpacked hides none of the others."""
    for info in members:
        if budget.is_spent:
            yield Pickle(frozenset(), SPENT) if suspect or _is_pickled(info.filename) else None
            return
        try:
            yield _member(archive, info, budget, depth)
        except BROKEN as error:
            reason = f"{info.filename} cannot be unpacked: {error}"
            yield Pickle(frozenset(), reason) if _is_pickled(info.filename) else None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, depth: int) -> Pickle | None:
    is_pickled = _is_pickled(info.filename)
    if info.is_dir() or (depth >= MAX_DEPTH and not is_pickled):
        return None
    if info.filename == "config.json":  # of a *.keras
        budget.unpack(min(info.file_size, MAX_PICKLE_BYTES))
        with archive.open(info) as member:
            return Pickle(frozenset(), LAMBDA) if _names_lambda(member.read(MAX_PICKLE_BYTES)) else None
    if info.file_size > MAX_PICKLE_BYTES:
        with archive.open(info) as member:
            is_unsafe = is_pickled or archives.holds_objects(member)
        return Pickle(frozenset(), f"{info.filename} unpacks to {info.file_size:,} bytes") if is_unsafe else None
    with archive.open(info) as member:
        content = io.BytesIO(member.read(MAX_PICKLE_BYTES))
    budget.unpack(info.file_size)
    if depth < MAX_DEPTH:
        pickle = read(info.filename, content, budget, depth + 1)
    else:
        pickle = _plain(info.filename.lower(), content, budget)
    return replace(pickle, member=pickle.member or info.filename) if pickle else None


def _in_tar(file: BinaryIO, budget: Budget, depth: int) -> Pickle | None:
    pickles: list[Pickle] = []
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            pickles.extend(_bounded(_tarred(archive, budget, depth)))
    except (tarfile.TarError, *BROKEN):
        pass  # the part that was read counts: the file may be the beginning of a compressed one
    return _worst(pickles)


def _tarred(archive: tarfile.TarFile, budget: Budget, depth: int) -> Iterator[Pickle | None]:
    for number, info in enumerate(archive):
        budget.unpack(0)
        if number > MAX_MEMBERS or depth >= MAX_DEPTH or budget.is_spent:
            return
        if info.isfile() and (member := archive.extractfile(info)):
            content = io.BytesIO(member.read(MAX_PICKLE_BYTES))  # a sparse one may have more bytes than the tar
            budget.unpack(min(info.size, MAX_PICKLE_BYTES))
            pickle = read(info.name, content, budget, depth + 1)
            yield replace(pickle, member=pickle.member or info.name) if pickle else None


def _in_compressed(name: str, file: BinaryIO, start: bytes, budget: Budget, depth: int) -> Pickle | None:
    """Look into the beginning of a compressed file; into more of it only if that is something to look into."""
    head = unpacked(file, start, MAX_HEAD_BYTES)
    goes_on = len(head) == MAX_HEAD_BYTES and reaches_import(io.BytesIO(head), is_cut=True)
    if goes_on or head[:4] == ZIP or head[:6] == archives.MAGIC or head[:1] == b"\x80" or _is_tar(head[:START_BYTES]):
        head = unpacked(file, start, MAX_PICKLE_BYTES)
    budget.unpack(len(head))
    inner = name if name.lower().endswith(SUFFIXES) else name.rpartition(".")[0] or name
    if inside := read(inner, io.BytesIO(head), budget, depth + 1) if head else None:
        return inside
    is_cut = inner.lower().endswith(SUFFIXES) and len(head) in (MAX_HEAD_BYTES, MAX_PICKLE_BYTES)
    return Pickle(frozenset(), SPENT) if is_cut and reaches_import(io.BytesIO(head), Reach.CALL, is_cut=True) else None


def _in_array(file: BinaryIO, budget: Budget) -> Pickle | None:
    """Return the pickle of an array of objects (numpy/lib/format.py)."""
    return _scan(file, budget) if archives.holds_objects(file) else None


def _in_hdf5(file: BinaryIO) -> Pickle | None:
    """Return the config of a Lambda layer among the attributes of a file of HDF5, which are not compressed.

    They are looked for where Keras reads them, at the root; else in the first MAX_HDF5 bytes. Code behind these counts
    as unsafe.
    """
    try:
        return Pickle(frozenset(), LAMBDA) if any(map(_names_lambda, hdf5.attributes(file))) else None
    except hdf5.ElsewhereError:
        return _in_bytes_of_hdf5(file)


def _is_hdf5_behind(file: BinaryIO) -> bool:
    """Return whether a file of HDF5 begins behind a block of a user's, where its library looks for it."""
    at = START_BYTES
    while file.seek(at) and (start := file.read(8)):
        if start == HDF5:
            return True
        at *= 2
    file.seek(0)
    return False


def _names_lambda(content: bytes) -> bool:
    """Return whether the config of a model has a Lambda layer, in letters or in their numbers."""
    return bool(LAMBDAS.search(ESCAPED.sub(lambda one: bytes.fromhex(one[1].decode()), content)))


def _in_bytes_of_hdf5(file: BinaryIO) -> Pickle | None:
    file.seek(0)
    before, left = b"", MAX_HDF5
    while piece := file.read(PIECE):
        if left <= 0:
            return Pickle(frozenset(), UNSEEN)
        if _names_lambda(before + piece):
            return Pickle(frozenset(), LAMBDA)
        before, left = piece[-256:], left - len(piece)
    return None


def _bounded(found: Iterator[Pickle | None]) -> Iterator[Pickle]:
    """Yield the pickles of an archive; the one after too many counts as unsafe."""
    for number, pickle in enumerate(one for one in found if one):
        if number >= MAX_INSIDE:
            yield replace(pickle, reason=f"the archive contains more than {MAX_INSIDE} pickles")
            return
        yield pickle


def _together(pickles: list[Pickle]) -> Pickle:
    """Return the pickles of a file of torch.save as one."""
    reasons = [pickle.reason for pickle in pickles if pickle.reason]
    imports, texts = (
        frozenset[str]().union(*sets) for sets in zip(*((p.imports, p.texts) for p in pickles), strict=True)
    )
    return Pickle(imports, reasons[0] if reasons else "", texts)


def _worst(pickles: list[Pickle]) -> Pickle | None:
    """Return the first pickle that is unsafe, else None: nobody opens an archive as a pickle."""
    return next((pickle for pickle in pickles if not pickle.is_data), None)
