"""Folders of adapters for serving engines: places, options, what is left out, and GGUF that is made of PEFT."""

import io
import json

import pytest

from dovetail.adapters.convert import Unconvertible
from dovetail.adapters.files.gguf import read_whole
from dovetail.adapters.serving import serving
from dovetail.serve.server_start import Target
from dovetail.store.engine_folder import ENGINES, STARTS, Item, arrange, write_gguf
from tests.adapters import TINY_LLAMA, lora
from tests.client.test_serving import adapter, llama, magnitudes

FIRST, SECOND, THIRD = "1a2b3c4" + "0" * 33, "5d6e7f8" + "0" * 33, "9a9b9c9" + "0" * 33
PATHS = ("README.md", "adapter_config.json", "adapter_model.safetensors", "optimizer.pt")
PLAIN = Item(Target("alice/router", "https://hub", FIRST), serving(adapter()), PATHS)
DEEP = Item(
    Target("bob/router", "https://hub", SECOND, "out/best"),
    serving(adapter(llama(rank=64), r=64)),
    ("README.md", "out/best/adapter_config.json", "out/best/adapter_model.safetensors", "out/best/trainer/adapter_x"),
)
DORA = Item(Target("alice/dora", "https://hub", THIRD), serving(adapter(llama() | magnitudes(), use_dora=True)), PATHS)
TWO = "router-1a2b3c4=/srv/adapters/router-1a2b3c4,router-5d6e7f8=/srv/adapters/router-5d6e7f8"
ITEMS = [PLAIN, DEEP, DORA]


@pytest.mark.parametrize("layout", [name for name in ENGINES if name != "llama.cpp"])
def test_each_adapter_has_a_folder_of_its_own_commit_with_what_engines_read(layout):
    made = arrange(layout, ITEMS, "/srv/adapters/")
    assert {place: (target.adapter, path) for place, (target, path) in made.files.items()} == {
        "router-1a2b3c4/adapter_config.json": ("alice/router", "adapter_config.json"),
        "router-1a2b3c4/adapter_model.safetensors": ("alice/router", "adapter_model.safetensors"),
        "router-5d6e7f8/adapter_config.json": ("bob/router", "out/best/adapter_config.json"),
        "router-5d6e7f8/adapter_model.safetensors": ("bob/router", "out/best/adapter_model.safetensors"),
    }
    assert list(made.left_out) == [f"alice/dora@{THIRD}"]
    assert "DoRA" in made.left_out[f"alice/dora@{THIRD}"]


@pytest.mark.parametrize(
    ("layout", "start"),
    [
        ("nim", ("NIM_PEFT_SOURCE=/srv/adapters", "NIM_MAX_LORA_RANK=64")),
        (
            "sglang",
            (
                "--enable-lora", "--max-lora-rank 64", "--lora-target-modules k_proj o_proj q_proj v_proj",
                "--lora-paths router@1a2b3c4=/srv/adapters/router-1a2b3c4 router@5d6e7f8=/srv/adapters/router-5d6e7f8",
            ),
        ),
        ("lorax", ("--default-adapter-source local",)),
        (
            "tgi",
            (f"--lora-adapters {TWO}",),
        ),
        (
            "llama.cpp",
            (
                "--lora /srv/adapters/router-1a2b3c4.gguf", "--lora /srv/adapters/router-5d6e7f8.gguf",
                "--lora-init-without-apply",
            ),
        ),
    ],
)  # fmt: skip
def test_an_engine_is_started_on_the_whole_folder(layout, start):
    assert arrange(layout, ITEMS, "/srv/adapters/").start == start


def test_every_layout_has_its_start_and_nothing_served_starts_nothing():
    assert set(STARTS) == set(ENGINES)
    for layout in ENGINES:
        assert arrange(layout, [DORA], "/srv").start == ()
        assert arrange(layout, [DORA], "/srv").files == arrange(layout, [DORA], "/srv").made == {}


def test_a_verdict_that_does_not_know_the_engine_leaves_the_adapter_out():
    made = arrange("tgi", [Item(PLAIN.target, [], PATHS)], "/srv")
    assert "does not say whether tgi serves it" in made.left_out[f"alice/router@{FIRST}"]


def test_llama_cpp_gets_a_gguf_file_for_each_adapter():
    made = arrange("llama.cpp", ITEMS, "/srv")
    assert {place: target.adapter for place, target in made.made.items()} == {
        "router-1a2b3c4.gguf": "alice/router", "router-5d6e7f8.gguf": "bob/router",
    }  # fmt: skip
    files = {path: (lambda data=data: io.BytesIO(data)) for path, data in lora(TINY_LLAMA, task="CAUSAL_LM").items()}
    config = {"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 4}
    out = io.BytesIO()
    write_gguf(files, lambda: io.BytesIO(json.dumps(config).encode()), out)
    out.seek(0)
    written = read_whole(out)
    assert written.texts["general.type"] == "adapter"
    assert written.numbers["adapter.lora.alpha"] == 8
    assert {name.rpartition(".")[2] for name in written.tensors} == {"lora_a", "lora_b"}
    with pytest.raises(Unconvertible, match="mamba"):
        write_gguf(files, lambda: io.BytesIO(json.dumps(config | {"model_type": "mamba"}).encode()), io.BytesIO())
