"""Families of adapters are told apart by their content; what no engine runs is looked at, and said to be no further."""

import io
import json
import struct
import tarfile

import numpy as np
import pytest

from dovetail.adapters import check, describe
from dovetail.adapters.files import archives
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.formats.formats import telling
from dovetail.adapters.serving import serving_of
from tests.adapters import CARD, CONFIG, TINY_LLAMA, WEIGHTS, hostile_pickle, lora, openers, pack, tensor_pickle
from tests.sweep import sweep

ONE = ("F32", (2, 2), bytes(8) + b"\x00\x00\x80\x3f" * 2)


def safe(*names, **metadata):
    return pack(dict.fromkeys(names, ONE), {"format": "pt", **metadata})


def gguf(**facts):
    def text(said):
        return struct.pack("<Q", len(said)) + said.encode()

    keys = {key: key if "." in key else key.replace("_", ".") for key in facts}
    entries = b"".join(text(keys[key]) + struct.pack("<I", 8) + text(value) for key, value in facts.items())
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(facts)) + entries


def gguf_lora(tensors=None, **facts):
    """A LoRA as convert_lora_to_gguf.py writes it; shapes are as ggml has them, the inner dimension first."""
    tensors = tensors or {"blk.0.attn_q.weight.lora_a": (8, 2), "blk.0.attn_q.weight.lora_b": (2, 8)}
    said = {"general_type": "adapter", "adapter_type": "lora", "general_architecture": "llama", **facts}
    head, offset, data = b"", 0, b""
    for name, shape in tensors.items():
        head += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", 0, offset)
        data += b"\x00\x00\x80\x3f" * shape[0] * shape[1]
        offset = len(data)
    start = gguf(**said)
    start = start[:8] + struct.pack("<Q", len(tensors)) + start[16:] + head
    return start.ljust(-(-len(start) // 32) * 32, b"\0") + data


def nemo(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in members:
            data = tensor_pickle() if name.endswith(".ckpt") else b""
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


UNET, PROJ = "lora_unet_down_blocks_0_attentions_0_proj_in", "model.layers.0.self_attn.q_proj"
MLX = json.dumps({"fine_tune_type": "lora", "lora_parameters": {"rank": 2, "scale": 20.0}, "model": "a/b"}).encode()
IN, OUT = np.full((4, 2), 0.5, "<f4"), np.full((2, 4), 0.5, "<f4")


def archive(*, save=np.savez, **arrays) -> bytes:
    made = io.BytesIO()
    save(made, **arrays)
    return made.getvalue()


FOREIGN = {
    "kohya": (
        {"any name.safetensors": safe(f"{UNET}.lora_down.weight", f"{UNET}.lora_up.weight")},
        "lora",
    ),
    "kohya by its notes": (
        {"x.safetensors": safe("te.0.lora_up.weight", "te.0.lora_down.weight", ss_network_module="networks.lora")},
        "lora",
    ),
    "lycoris": (
        {"x.safetensors": safe(*(f"{UNET}.hada_w{part}" for part in ("1_a", "1_b", "2_a", "2_b")))},
        "loha",
    ),
    "lycoris of another kind": ({"x.safetensors": safe(f"{UNET}.lokr_w1", f"{UNET}.lokr_w2")}, "lokr"),
    "diffusers": (
        {"pytorch_lora_weights.safetensors": safe("unet.d.0.to_q.lora_A.weight", "unet.d.0.to_q.lora_B.weight")},
        "lora",
    ),
    "diffusers of one model alone": (
        {"x.safetensors": safe(*(f"transformer_blocks.0.attn.to_q.lora_{side}.weight" for side in "AB"))},
        "lora",
    ),
    "diffusers of old": (
        {"x.safetensors": safe("text_encoder.l.0.to_q_lora.down.weight", "text_encoder.l.0.to_q_lora.up.weight")},
        "lora",
    ),
    "mlx": ({CONFIG: MLX, "adapters.safetensors": safe(f"{PROJ}.lora_a", f"{PROJ}.lora_b")}, "lora"),
    "mlx without a config": ({"adapters.safetensors": safe(f"{PROJ}.lora_a", f"{PROJ}.lora_b")}, "lora"),
    "mlx in an archive of numpy": ({"adapters.npz": archive(**{f"{PROJ}.lora_a": IN, f"{PROJ}.lora_b": OUT})}, "lora"),
    "gguf": ({"x.gguf": gguf_lora()}, "lora"),
    "nemo": ({"x.nemo": nemo("./model_config.yaml", "./model_weights.ckpt")}, "lora"),
    "loralib in safetensors": ({"lora.safetensors": safe("layer.0.attn.lora_A", "layer.0.attn.lora_B")}, "lora"),
}


@sweep("name", FOREIGN)
def test_a_format_that_no_engine_runs_is_checked_and_said_to_be_proven_no_further(name):
    files, kind = FOREIGN[name]
    found = describe(openers(files))
    assert found is not None
    assert (found.format, found.kind) == (name.split()[0], kind)
    said = list(check(openers(files)))
    assert [result.id for result in said if result.outcome == "failed"] == []
    told = next(result for result in said if result.id == "run.not-here")
    assert (told.outcome, told.where["proven"]) == ("skipped", "static")
    assert "it was not loaded" in told.message
    assert told.fix


def test_an_archive_of_mlx_is_read_in_place_and_says_how_it_becomes_what_mlx_lm_reads():
    half = OUT.astype("<f2").view("V2")  # so MLX writes bfloat16, for which numpy has no type
    raw = archive(**{f"{PROJ}.lora_a": IN, f"{PROJ}.lora_b": half})
    header = archives.read(io.BytesIO(raw))
    inner = header.tensors[f"{PROJ}.lora_a"]
    assert (inner.dtype, inner.shape, raw[inner.offset : inner.end]) == ("F32", (4, 2), IN.tobytes())
    assert header.tensors[f"{PROJ}.lora_b"].dtype == "BF16"
    said = {result.id: result for result in check(openers({"adapters.npz": raw}))}
    assert "mx.save_safetensors('adapters.safetensors', mx.load('adapters.npz'))" in said["run.not-here"].fix
    assert said["config.rank"].message == "The rank is 2."
    rows = {row.engine: row for row in serving_of(openers({"adapters.npz": raw}))}
    assert (rows["mlx"].outcome, "adapters.safetensors" in rows["mlx"].reason) == ("refuses", True)
    broken = archive(**{f"{PROJ}.lora_a": IN * np.nan, f"{PROJ}.lora_b": OUT})
    assert next(result for result in check(openers({"adapters.npz": broken})) if result.outcome == "failed").id == (
        "tensors.not-finite"
    )


ARRAYS = {f"{PROJ}.lora_a": IN, f"{PROJ}.lora_b": OUT}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (archive(save=np.savez_compressed, **ARRAYS), "compressed or encrypted"),
        (archive(**ARRAYS | {"x": np.array([None], dtype=object)}), "something other than numbers"),
        (archive(**ARRAYS | {"x": np.asfortranarray(np.ones((2, 3)))}), "column by column"),
        (archive(**ARRAYS | {"x": np.ones((0, 3))}), "each of at least 1"),
        (archive(**ARRAYS).replace(b"(4, 2)", b"(4, 3)"), "has 32 bytes"),
        (archive(**ARRAYS)[:-40], "cannot be read"),
        (archive(**ARRAYS).replace(b"(4, 2), }" + b" " * 40, b"(" + b"1" * 46 + b"x}"), "something other than numbers"),
        (archive(**ARRAYS).replace(b"\x93NUMPY", b"\x93NUMBY"), "not a numpy array"),
    ],
)
def test_an_archive_of_numpy_that_could_be_read_in_two_ways_is_none_of_mlx(raw, reason):
    with pytest.raises(HeaderError, match=reason):
        archives.read(io.BytesIO(raw))
    assert describe(openers({"adapters.npz": raw})) is None


def test_a_pickle_of_loralib_is_recognised_by_the_names_in_it():
    found = describe(openers({"lora.pt": tensor_pickle(b"layer.0.attn.lora_A")}))
    assert found is not None
    assert (found.format, found.kind) == ("loralib", "lora")


NONE = {
    "a model": {"model.safetensors": safe("bert.encoder.layer.0.output.dense.weight"), "config.json": b"{}"},
    "a model in GGUF": {"x.gguf": gguf(general_type="model")},
    "no GGUF": {"x.gguf": b"GGUF"},
    "GGUF with a text without end": {"x.gguf": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62)},
    "another tar": {"x.nemo": nemo("notes.txt")},
    "no tar": {"x.nemo": b"x" * 2000},
    "pickled tensors of a model": {"pytorch_model.bin": tensor_pickle()},
    "a broken header": {"x.safetensors": b"\xff" * 40},
    "a config of something else": {"sub/adapter_config.json": b"{}"},
    "a model with PEFT's tensors under a name that PEFT never looks for": {
        "config.json": b"{}", "a.safetensors": safe("base_model.model.l.0.q.lora_A.weight"),
        "b/pytorch_model.bin": tensor_pickle(b"base_model.model.l.0.q.lora_A.weight"),
    },
    "the same of the adapters library": {"a.safetensors": safe("bert.l.0.output.adapters.a.adapter_up.weight")},
}  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_adapter_has_no_format(name):
    assert describe(openers(NONE[name])) is None


def test_all_formats_of_one_repository_are_named_and_the_one_at_the_top_decides():
    files = lora()
    both = {**files, "mlx/" + CONFIG: MLX, "mlx/adapters.safetensors": safe("model.layers.0.q_proj.lora_a")}
    both |= {"gguf/x.gguf": gguf(general_type="adapter", adapter_type="lora")}
    found = describe(openers(both))
    assert found is not None
    assert (found.format, found.also) == ("peft", ("gguf (gguf/x.gguf)", f"mlx (mlx/{CONFIG})"))
    told = next(result for result in check(openers(both)) if result.id == "file.ambiguous")
    assert told.outcome == "passed"
    assert "gguf/x.gguf" in told.message


def test_an_adapter_in_a_folder_is_found_where_none_is_at_the_top():
    files = {f"checkpoint-10/{path}": data for path, data in lora(TINY_LLAMA, task="CAUSAL_LM").items() if path != CARD}
    found = describe(openers(files))
    assert found is not None
    assert (found.format, found.kind, found.base) == ("peft", "lora", TINY_LLAMA.id)


def test_a_name_alone_decides_nothing():
    files = {"kohya-lora.safetensors": safe("bert.pooler.dense.weight"), "adapter.gguf": b"", "lora.nemo": b""}
    assert describe(openers(files)) is None


def test_a_hostile_pickle_of_any_format_is_refused_as_one():
    found = [result.id for result in check(openers({"lora.safetensors": safe("a.lora_A"), "x.pt": hostile_pickle()}))
             if result.outcome == "failed"]  # fmt: skip
    assert found == ["file.pickle"]


@pytest.mark.parametrize("length", [128, 384, 640])
def test_a_header_whose_length_looks_like_the_start_of_a_pickle_is_none(length):
    header = json.dumps({"prompt_embeddings": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}}).encode()
    data = struct.pack("<Q", length) + header.ljust(length) + bytes(8)
    assert data[0] == 0x80
    failed = [result.id for result in check(openers({**lora(), WEIGHTS: data})) if result.outcome == "failed"]
    assert "file.pickle" not in failed


def test_only_so_many_files_are_looked_at_those_at_the_top_first():
    paths = [f"deep/{number}.safetensors" for number in range(100)] + ["top.safetensors", CONFIG, "a.txt"]
    looked_at = telling(paths)
    assert looked_at[:2] == [CONFIG, "top.safetensors"]
    assert len(looked_at) == 24
