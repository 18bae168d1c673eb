"""Texts and data of every kind are no pickles, whatever they are called: 20,000 of them, the same in each run."""

import gzip
import io
import json
import random
import re
import site
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dovetail.adapters.files import pickles
from tests.pickles.unpicklers import UNPICKLERS, Watched

# Words that begin like instructions: imports, instances, numbers, texts, calls.
WORDS = re.findall(
    r"\S+",
    "cat cos cow config cosine city code iris ios instance id item Iron I Nb Na None North Van Vienna Rome Red build "
    "bird build.gradle object other others open red rose tulip tan sin tuple true dog duck data x y z a b c d e Köln "
    "Österreich größe être naïve é über Sydney Paris Kiel Munich Label_0 LABEL_1 B-PER I-PER O B-LOC I-LOC positive "
    "negative neutral entailment contradiction top left right bottom 0 1 2 3.5 -1 (a) (b) [PAD] [UNK] [CLS] ##ing Ġthe "
    "▁of <s> </s> cosmetics computer_vision csv random math string types collections json os sys time re io abc ast",
)
NAMES = ("labels.txt", "vocab", "pytorch_model.bin", "lfs.bin", "weights.pt", "model.ckpt")
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape:DeprecationWarning")  # of pickletools, and unpicklers
SITE = Path(site.getsitepackages()[0])


def lists(dice: random.Random) -> Iterator[bytes]:
    """Lists of words, sorted or not, in lines, in brackets, as CSV."""
    for number in range(6000):
        words = dice.choices(WORDS, k=dice.randrange(1, 40))
        if number % 3 == 0:
            words.sort()
        separator = dice.choice(("\n", "\n", "\n", "\r\n", ",", ", ", "\t", ";"))
        text = (
            dice.choice(("", "", "", "(", "[", '"', "# ", "\ufeff")) + separator.join(words) + dice.choice(("", "\n"))
        )
        yield text.encode(dice.choice(("utf-8", "utf-8", "utf-16", "cp1252")), "replace")
    for letters in ("abc", "abcdefghijklmnopqrstuvwxyz", "ciRNbVo", "ACGTN", "0123456789", "ciaoRtIN "):
        for _ in range(900):
            words = ["".join(dice.choices(letters, k=dice.randint(1, 3))) for _ in range(dice.randrange(1, 30))]
            yield ("\n".join(words) + "\n").encode()


def noise(dice: random.Random) -> Iterator[bytes]:
    """Bytes at random, of all lengths; most of the shortest are there."""
    for length in range(900):
        for _ in range(4):
            yield dice.randbytes(length)
    for length in range(1, 5):
        for _ in range(500):
            yield dice.randbytes(length)


def formats(dice: random.Random) -> Iterator[bytes]:
    """What other programs write into files that are called *.bin or *.pt."""
    for number in range(250):
        floats = struct.pack("<200f", *(dice.gauss(0, 1) for _ in range(200)))
        size = dice.randrange(1, 1 << dice.randrange(1, 31))
        yield floats  # OpenVINO: raw values
        yield struct.pack("<200e", *(dice.gauss(0, 1) for _ in range(200)))
        yield struct.pack("<200i", *(dice.randrange(-size, size) for _ in range(200)))
        name = dice.choice(WORDS).encode()
        yield struct.pack("<IHI", 6, len(name), 1) + name + struct.pack("<I", size) + floats  # CTranslate2
        yield struct.pack("<ii", 793712314, 12) + struct.pack("<12i", *range(size, size + 12)) + floats  # fastText
        yield b"lmgg" + struct.pack("<7i", size, 256, 64, 32, 32, number, 1) + floats  # ggml
        yield b"GGUF" + struct.pack("<IQQ", 3, size, number) + name + floats
        yield b"\x08\x07\x12" + bytes([len(name)]) + name + b"\x3a" + floats  # ONNX
        yield f"{number} 50\n{name.decode()} ".encode() + floats  # word2vec
        array = io.BytesIO()
        np.save(array, np.frombuffer(floats, np.float32))
        yield array.getvalue()
        yield json.dumps({word: number for number, word in enumerate(dice.choices(WORDS, k=20))}).encode()
        yield b"version https://git-lfs.github.com/spec/v1\noid sha256:" + dice.randbytes(32).hex().encode()


def installed(dice: random.Random) -> Iterator[bytes]:
    """What is installed here: source, metadata, catalogues, libraries; the words of it as lists."""
    files = sorted(file for file in SITE.rglob("*") if file.is_file() and file.stat().st_size < 200_000)
    files = [file for file in files if file.suffix not in (".npy", ".npz")]  # some hold objects, which are pickles
    words = set()
    for file in dice.sample(files, 1000):
        data = file.read_bytes()
        yield data
        if file.suffix in (".txt", ".py", ".md", ".rst"):
            words.update(re.findall(rb"[A-Za-z_]{2,12}", data))
    known = sorted(words)
    initial = [word for word in known if word[0] in b"ciINV("]
    for _ in range(2500):
        yield b"\n".join([dice.choice(initial), *dice.choices(known, k=dice.randrange(60))])


@pytest.mark.merge
def test_none_of_twenty_thousand_honest_files_is_held_back():
    dice = random.Random(5)
    held, count = Counter(), 0
    for kind in (lists, noise, formats, installed):
        for data in kind(dice):
            count += 1
            for name in NAMES:
                found = pickles.read(name, io.BytesIO(data))
                if found is not None and not found.is_data and not is_pickle(data):
                    held[kind.__name__, name, data[:60], found.reason[:60]] += 1
    assert count > 20_000
    assert not held


def is_pickle(data: bytes) -> bool:
    """Return whether a file of a library is one, as it says itself; that in C may take gigabytes for its memo."""
    if data[:2] == b"\x1f\x8b":  # numpy's tests have pickles that are packed
        data = gzip.decompress(data)
    return data[:1] == b"\x80" and Watched(UNPICKLERS["Python"], data, "ASCII", has=lambda _: True).imported
