"""`dovetail sync --layout` of what the cache has, and GGUF files made of it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from dovetail import locks
from dovetail.adapters.files.gguf import read_whole
from dovetail.adapters.results.report import BasePin, Serving
from dovetail.hub_reader import ReadingHub
from dovetail.locks import Lock, LockedAdapter, LockedBase, LockedFile
from dovetail.problems import Problem
from dovetail.store import folder_sync
from dovetail.store.store import Store
from tests.adapters import MINILM, TINY_LLAMA, lora

ROW = Serving("vllm", outcome="serves", flags=("--max-lora-rank 8",))


def contents(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} - {".adapters.lock"}


def stored(cache: Store, path: str, data: bytes) -> LockedFile:
    file = LockedFile(path, hashlib.sha256(data).hexdigest(), len(data))
    part = cache.part(file.sha256)
    part.write_bytes(data)
    cache.take(part, file.sha256)
    return file


@pytest.mark.merge
def test_a_lock_becomes_the_folder_of_an_engine(dovetail, tmp_path):
    cache = Store(tmp_path / "cache")
    files = lora(MINILM) | {"notes.txt": b"x"}
    locked = tuple(stored(cache, path, data) for path, data in files.items())
    served = LockedAdapter("alice/laid-out", "main", "1" * 40, "alice/laid-out", locked, serving=(ROW,))
    other = LockedAdapter("alice/left-out", "main", "2" * 40, "alice/left-out", locked)
    lock = Lock("http://127.0.0.1:1", (served, other))
    locks.write_file(lock, tmp_path / "one.lock")

    def sync(*words: str, layout: str = "nim"):
        command = ("sync", str(tmp_path / "one.lock"), "--to", str(tmp_path / "served"), "--layout", layout, *words)
        return dovetail(*command, hub="http://127.0.0.1:1", DOVETAIL_CACHE=str(tmp_path / "cache"))

    assert sync("--check").returncode == 1
    done = sync()
    assert done.returncode == 0, done.stderr
    assert f"NIM_PEFT_SOURCE={tmp_path / 'served'} NIM_MAX_LORA_RANK=8" in done.stderr.replace("\n", " ")
    assert f"alice/left-out@{other.revision[:7]} is skipped" in done.stderr
    folder = f"laid-out-{served.revision[:7]}"
    files = {f"{folder}/adapter_config.json", f"{folder}/adapter_model.safetensors"}
    assert contents(tmp_path / "served") == files
    assert sync("--check").returncode == 0
    again = json.loads(sync("--json").stdout)
    assert (again["is_changed"], again["downloaded"], again["start"][1:]) == (False, 0, ["NIM_MAX_LORA_RANK=8"])
    for refused, words in (
        (sync(layout="sglang"), "sglang serves no adapter of the lock"),
        (sync(layout="vllm"), "Use one of nim"),
        (sync("--base"), "Omit --base"),
    ):
        assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr
    assert contents(tmp_path / "served") == files, "what is refused changes nothing"
    assert folder_sync.sync(lock, tmp_path / "served", offline, cache).repaired == (), "another layout is no repair"


def offline() -> ReadingHub:
    raise AssertionError("the hub is asked")


def test_the_folder_of_llama_cpp_has_gguf_files_that_are_made_of_the_lock(tmp_path):
    cache, to, digest = Store(tmp_path / "cache"), tmp_path / "served", "0" * 64
    config = {"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 4}
    files = [stored(cache, path, data) for path, data in lora(TINY_LLAMA, task="CAUSAL_LM").items()]
    base = LockedBase("tiny/llama", "", digest, (stored(cache, "config.json", json.dumps(config).encode()),))
    entry = LockedAdapter(
        "alice/router", "prod", "1" * 40, "alice/router", tuple(files),
        base=BasePin("tiny/llama", None, digest), serving=(Serving("llama.cpp", outcome="serves"),),
    )  # fmt: skip
    lock = Lock("http://127.0.0.1:1", (entry,), (base,))
    done = folder_sync.sync(lock, to, offline, cache, layout="llama.cpp")
    assert done.is_changed
    assert done.start == (f"--lora {to}/router-1111111.gguf", "--lora-init-without-apply")
    assert contents(to) == {"router-1111111.gguf"}
    with (to / "router-1111111.gguf").open("rb") as file:
        assert read_whole(file).texts["general.type"] == "adapter"
    assert not folder_sync.sync(lock, to, offline, cache, layout="llama.cpp").is_changed
    assert folder_sync.compare(lock, to, offline, cache, layout="llama.cpp").is_equal
    mamba = replace(base, files=(stored(cache, "config.json", b'{"model_type": "mamba"}'),))
    for bases, words in (((), "no digest of the config.json"), ((mamba,), "could not be converted to GGUF: .*mamba")):
        with pytest.raises(Problem, match=words):
            folder_sync.sync(replace(lock, bases=bases), to, offline, cache, layout="llama.cpp")
    assert contents(to) == {"router-1111111.gguf"}
