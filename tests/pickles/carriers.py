"""Files that run code when they are loaded: a call of os.system in every place where a library would find it."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from datetime import UTC, datetime

import numpy as np

from tests.pickles.hostile import SYSTEM, archive, old


def zipped(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "/"), data)
    return made.getvalue()


def tarred(compression: str = "", **members: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=f"w:{compression}") as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return made.getvalue()


def array(pickled: bytes) -> bytes:
    """A file of numpy.save with an array of objects, whose pickle is replaced."""
    made = io.BytesIO()
    np.save(made, np.array([None], dtype=object), allow_pickle=True)
    whole = made.getvalue()
    return whole[: 10 + struct.unpack("<H", whole[8:10])[0]] + pickled


def keras(version: int, *, is_lambda: bool = True) -> bytes:
    """The config of a model with a Lambda layer, as Keras 3 and Keras 2 write it, or of one with a Dense layer."""
    code = "4wEAAAAAAAAAAAAAAAEAAAACAAAAQwAAAHMIAAAAdACDAFMAKQFO"
    of_3 = {"function": {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}}
    of_2 = {"function": [code, None, None], "function_type": "lambda", "module": "__main__"}
    layer = {"class_name": "Lambda", "config": {"name": "x", **(of_3 if version == 3 else of_2)}}
    layers = [layer if is_lambda else {"class_name": "Dense", "config": {"units": 4}}]
    return json.dumps({"class_name": "Sequential", "config": {"layers": layers}}).encode()


PROTOCOL_0 = b"cposix\nsystem\np0\n(Vtrue\np1\ntp2\nRp3\n."
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(88)
# name → (path, content): what runs code when it is loaded
CARRIERS = {
    "a zip of torch.save": ("pytorch_model.bin", archive(SYSTEM)),
    "one under another name": ("notes/weights", archive(SYSTEM)),
    "the old kind of torch.save": ("model.ckpt", old(SYSTEM)),
    "the old kind under another name": ("LICENSE", old(SYSTEM)),
    "a head for scikit-learn": ("model_head.pkl", SYSTEM),
    "protocol 4": ("state", b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."),
    "protocol 0, of letters alone": ("README.txt", PROTOCOL_0),
    "an old instance": ("data.csv", b"(iposix\nsystem\n."),
    "a compressed one of joblib": ("model.joblib", zlib.compress(SYSTEM)),
    "one of gzip": ("model.pkl.gz", gzip.compress(SYSTEM)),
    "one of gzip under another name": ("blob", gzip.compress(SYSTEM)),
    "one of gzip behind an empty one": ("x.pkl.gz", gzip.compress(b"") + gzip.compress(SYSTEM)),
    "one of bzip2": ("x.bz2", bz2.compress(SYSTEM)),
    "one of xz": ("x.xz", lzma.compress(SYSTEM)),
    "one of lzma": ("x.lzma", lzma.compress(SYSTEM, format=lzma.FORMAT_ALONE)),
    "one that is not unpacked": ("x.pkl.zst", b"(\xb5/\xfd" + SYSTEM),
    "an array of objects": ("train.npy", array(SYSTEM)),
    "an array of objects in an archive": ("train.npz", zipped(x=b"", **{"labels.npy": array(SYSTEM)})),
    "in a zip": ("data.zip", zipped(**{"a__b__state.pkl": SYSTEM})),
    "in a zip under another name": ("data.zip", zipped(**{"a__notes.md": PROTOCOL_0})),
    "a file of torch in a zip": ("release.zip", zipped(**{"x__pytorch_model.bin": archive(SYSTEM)})),
    "in a zip in a zip": ("outer.zip", zipped(inner=zipped(**{"x.pkl": SYSTEM}))),
    "in a zip behind a broken member": (
        "data.zip",
        zipped(**{"a.txt": b"text" * 9, "b.pkl": SYSTEM}).replace(
            zlib.compress(b"text" * 9, 6)[2:-4], b"\xff" * len(zlib.compress(b"text" * 9, 6)[2:-4]), 1
        ),
    ),
    "in a tar": ("shard-0000.tar", tarred(**{"0001.pyd": SYSTEM})),
    "in a compressed tar": ("shard.tar.gz", tarred("gz", **{"0001.pkl": SYSTEM})),
    "NeMo's archive": ("model.nemo", tarred(**{"model_config.yaml": b"a: 1", "model_weights.ckpt": archive(SYSTEM)})),
    "a tar of old torch": ("model.pt", tarred(sys_info=b"", pickle=SYSTEM)),
    "a Lambda layer of Keras 3": ("model.keras", zipped(**{"metadata.json": b"{}", "config.json": keras(3)})),
    "a Lambda layer of Keras 2": ("model.h5", HDF5 + keras(2) + bytes(64)),
    "a Lambda layer under another name": ("weights", HDF5 + keras(3)),
}
DATES = {"at": datetime(2026, 1, 2, tzinfo=UTC), "of": [1, 2.5, "x"], "in": {3, 4}, "raw": b"\0\xff"}
# name → (path, content): data that looks like it, and runs nothing
HARMLESS = {
    "a text that begins like an import": ("story.txt", b"chapter one\nof a book\nRead on.\n"),
    "names in lines": ("names.txt", b"config\nversion\nobjects\nbuild\n"),
    "a list in brackets": ("x.md", b"(important\nnote to all: read this\n)"),
    "a table of text": ("x.csv.gz", gzip.compress(b"cost\nname\nR,o,b\n")),
    "an array of numbers": ("x.npy", bytes(array(b"")[:6]) + b"\x01\x00\x10\x00{'descr': '<f4'}" + bytes(16)),
    "plain data": ("x.pkl", pickle.dumps(DATES)),
    "arrays as pickles": ("x.pkl", pickle.dumps({"a": np.arange(3), "b": np.float32(2)}, protocol=4)),
    "arrays of protocol 2": ("x.pkl", pickle.dumps(np.arange(3), protocol=2)),
    "objects that are texts": ("x.npy", array(pickle.dumps(np.array(["a", None], dtype=object)))),
    "a zip of text": ("x.zip", zipped(**{"a.txt": b"chapter", "b__c.json": b"{}"})),
    "the first part of a zip in parts": ("x.zip.001", zipped(**{"a.txt": bytes(range(200))})[:120]),
    "a tar of text": ("x.tar.gz", tarred("gz", **{"a.txt": b"chapter"})),
    "a model of Keras without one": ("model.keras", zipped(**{"config.json": keras(3, is_lambda=False)})),
    "weights of Keras": ("tf_model.h5", HDF5 + keras(2, is_lambda=False)),
}
