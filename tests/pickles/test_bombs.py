"""Small files that unpack to terabytes cost seconds, and hide no pickle among what they unpack to."""

import io
import pickle
import struct
import time
import zipfile
import zlib

import pytest

from dovetail.adapters.files import archives, pickles
from dovetail.adapters.files.archives import MAX_DIRECTORY_BYTES
from dovetail.adapters.formats import formats
from tests.pickles.carriers import CARRIERS

SECONDS = 10.0  # of the processor; without a budget the least of these takes an hour
ZEROS = bytes(16 << 20)
WALK = b"N0" * 400_000 + b"\xff"  # instructions that lead nowhere


def shared(content, entries, more=()):
    """Return a zip of which all entries are the same bytes, and `more` (name, content) behind them."""
    out, directory = io.BytesIO(), b""
    for name, data, count in ((b"a", content, entries), *((name, data, 1) for name, data in more)):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush()
        fields = struct.pack("<HHHHIIIHH", 0, 8, 0, 33, zlib.crc32(data), len(packed), len(data), len(name), 0)
        place = out.tell()
        out.write(b"PK\x03\x04" + struct.pack("<H", 20) + fields + name + packed)
        directory += (
            b"PK\x01\x02" + struct.pack("<HH", 20, 20) + fields + bytes(10) + struct.pack("<I", place) + name
        ) * count
    number = min(entries + len(more), 65535)
    start = out.tell()
    out.write(directory + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, number, number, len(directory), start, 0))
    return out.getvalue()


BOMBS = {
    "entries that share their bytes": lambda: shared(ZEROS, 20_000),
    "zips in zips": lambda: shared(shared(shared(ZEROS, 1000), 1000), 1000),
    "instructions in each entry": lambda: shared(WALK, 20_000),
}


@pytest.fixture(autouse=True)
def small_budget(monkeypatch):
    monkeypatch.setattr(archives, "LEAST_BUDGET", 2**25)
    monkeypatch.setattr(formats, "WAITING", 2**26)


def is_refused_by_zipfile(data):
    """Return whether this Python (3.11.8, Debian's 3.11.2) unpacks no entries that share bytes: nothing is spent."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        try:
            archive.open(archive.infolist()[-1]).close()
        except zipfile.BadZipFile:
            return True
    return False


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_seconds(name):
    data, began = BOMBS[name](), time.process_time()
    assert pickles.read("data.zip", io.BytesIO(data)) is None
    loaded = pickles.read("adapter_model.bin", io.BytesIO(data))
    assert loaded is None if is_refused_by_zipfile(data) else loaded.reason == pickles.SPENT
    assert time.process_time() - began < SECONDS


def test_the_bombs_of_a_push_share_one_budget():
    data, began = shared(WALK, 20_000), time.process_time()
    formats.detect({f"{number}.bin": lambda: io.BytesIO(data) for number in range(24)})
    assert time.process_time() - began < SECONDS


def test_a_pickle_behind_a_bomb_is_found():
    attack = CARRIERS["in a zip in a zip"][1]
    for name in (b"x.pkl", b"x.bin"):
        data = shared(ZEROS, 20_000, [(name, pickle.dumps(pickles.read)), (b"y.zip", attack)])
        found = pickles.read("data.zip", io.BytesIO(data))
        assert found is not None
        assert not found.is_data


def test_a_directory_that_would_fill_the_memory_is_not_read():
    data = shared(b"", MAX_DIRECTORY_BYTES // 47 + 1)
    found = pickles.read("adapter_model.bin", io.BytesIO(data))
    assert found is not None
    assert "its directory has" in found.reason
