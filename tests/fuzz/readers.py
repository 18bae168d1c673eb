"""The readers that are fuzzed: each takes bytes, and may only return or refuse them by its own refusal."""

import gzip
import io
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import numpy as np

from dovetail.adapters.files import archives, config, gguf, header, pickles, torchfile
from dovetail.adapters.files.pickle_interpreter import Refused
from features.xet.tests import build
from features.xet.xorbs import chunks, shards
from features.xet.xorbs.chunks import ShardInvalid, XorbInvalid
from registry.kernel.texts.markdown import render_markdown
from registry.repos.contents.card import parse_card
from tests.adapters import CONFIG, WEIGHTS, lora
from tests.pickles import carriers, hostile, unpicklers

XET = Path(build.__file__).parent / "data"
WEB = {"href", "src"}
REFERENCES = {"@alice": "/alice", "#3": "/a/b/discussions/3", "0a1b2c3": "/a/b/commit/0a1b2c3"}
SCHEMES = ("http://", "https://", "mailto:", "/", "#")


@dataclass(frozen=True)
class Reader:
    """`read` gets any bytes; only `refusals` may leave it. `seeds` are valid inputs that are changed at random."""

    read: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    refusals: tuple[type[Exception], ...] = ()


def _header(data: bytes) -> None:
    read = header.read(io.BytesIO(data))
    for tensor in read.tensors.values():
        assert 0 <= tensor.offset <= tensor.end <= len(data)


def _arrays(data: bytes) -> None:
    for tensor in archives.read(io.BytesIO(data)).tensors.values():
        assert 0 <= tensor.offset <= tensor.end <= len(data)


def _pickle(name: str) -> Callable[[bytes], object]:
    return lambda data: pickles.read(name, io.BytesIO(data))


def _torch(data: bytes) -> None:
    for tensor in torchfile.read(io.BytesIO(data)).values():
        assert 0 <= tensor.storage.start <= len(data)


def _gguf(data: bytes) -> None:
    gguf.read(io.BytesIO(data))
    for tensor in gguf.read_whole(io.BytesIO(data)).tensors.values():
        assert 0 <= tensor.offset <= tensor.end <= len(data)


def _xorb(data: bytes) -> None:
    total = sum(len(chunk.stored) for span in chunks.read_spans(io.BytesIO(data)) for chunk in span.chunks)
    assert total == len(data)


def _card(data: bytes) -> None:
    card = parse_card(data.decode("utf-8", "replace"))
    json.dumps([card.data, card.body, card.problem], allow_nan=False)


class _Oracle(HTMLParser):
    """Fails at markup that could run: what a browser reads of it, not what we think that we wrote."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "style", "iframe", "form", "input", "svg", "math", "object", "embed", "base"}, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            address = (value or "").strip().lower()
            assert name not in WEB or address.startswith(SCHEMES) or ":" not in address.split("/")[0], value


def _markdown(data: bytes) -> None:
    text = data.decode("utf-8", "replace").replace("\0", "")
    _Oracle().feed(render_markdown(text, files="/files/", pages="/pages/", references=REFERENCES))


def _gguf_seed() -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    facts = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("adapter.lora.alpha") + struct.pack("<If", 6, 16.0),
        text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
    ]
    tensor = text("blk.0.attn_q.weight.lora_a") + struct.pack("<IQQIQ", 2, 4, 2, 0, 0)
    start = b"GGUF" + struct.pack("<IQQ", 3, 1, len(facts)) + b"".join(facts) + tensor
    return start + bytes(-len(start) % 32) + bytes(32)


def _numbers() -> bytes:
    made = io.BytesIO()
    np.savez(made, a=np.ones((2, 3), np.float32), b=np.ones(4, np.float16))
    return made.getvalue()


def _npz() -> bytes:
    made = io.BytesIO()
    np.savez(made, a=np.arange(3), b=np.array([{}], dtype=object))
    return made.getvalue()


def _array(values: object) -> bytes:
    made = io.BytesIO()
    np.save(made, np.array(values), allow_pickle=True)
    return made.getvalue()


PLAIN = [data for _, data in carriers.CARRIERS.values() if data[:1] in b"\x80c("]
PICKLED = hostile.table(hostile.W, hostile.tensor())
CARDS = (
    b"---\nlicense: mit\ntags: [a, b]\nmodel-index:\n- name: x\n  results: []\n---\n# Title\n\n- *a* **b** `c`\n",
    b"---\nbase_model: 'a/b'\nn: 1e3\nt: 2026-01-01\n---\n<details><summary>x</summary>\n\n| a |\n|---|\n| @alice |\n",
    b"[x](javascript:alert(1)) ![y](data:text/html,z) <a href='//evil' onclick=x>z</a>\n\n```python\nprint(1)\n```\n",
)

READERS: dict[str, Reader] = {
    "header": Reader(_header, lambda: [lora(rank=1)[WEIGHTS]], (header.HeaderError,)),
    "arrays": Reader(_arrays, lambda: [_numbers()], (header.HeaderError,)),
    "config": Reader(lambda data: config.read(io.BytesIO(data)), lambda: [lora()[CONFIG]], (config.ConfigError,)),
    "pickle": Reader(_pickle("model.pkl"), lambda: [PICKLED, hostile.OLD, gzip.compress(PICKLED)]),
    "hdf5": Reader(_pickle("model.h5"), lambda: [carriers.CARRIERS["a Lambda layer of Keras 2"][1]]),
    "reach": Reader(unpicklers.judge, lambda: [unpicklers.program(Random(number)) for number in range(400)] + PLAIN),
    "archive": Reader(
        _pickle("weights.bin"),
        lambda: [
            hostile.SOUND,
            carriers.zipped(**{"a.pkl": PICKLED, "b.txt": b"text"}),
            carriers.tarred(**{"a.pkl": PICKLED}),
            carriers.tarred("gz", **{"a.pkl": PICKLED}),
        ],
    ),
    "array": Reader(_pickle("rows.npz"), lambda: [_npz(), _array([1.5, 2]), _array([{}, None])]),
    "torch": Reader(_torch, lambda: [hostile.SOUND, hostile.OLD], (Refused,)),
    "gguf": Reader(_gguf, lambda: [_gguf_seed()], (gguf.GgufError,)),
    "xorb": Reader(
        _xorb, lambda: [build.Xorb([b"abc" * 99, b"x"], scheme).data for scheme in range(3)], (XorbInvalid,)
    ),
    "shard": Reader(
        lambda data: shards.parse_shard(io.BytesIO(data)),
        lambda: [(XET / "hf_xet-1.8.0.shard").read_bytes(), build.whole(build.noise(100_000))[1]],
        (ShardInvalid,),
    ),
    "card": Reader(_card, lambda: CARDS),
    "markdown": Reader(_markdown, lambda: CARDS),
}
