"""The torch-free knowledge of adapter files: headers, patterns, pickles, raw values, descriptions."""

import io
import json
import pickle
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dovetail.adapters import check, describe, files_in
from dovetail.adapters.checks import ids_of
from dovetail.adapters.files import header, pickles
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.files.patterns import Pattern, PatternError
from dovetail.adapters.files.values import has_not_finite, is_all_zero, is_huge
from tests.adapters import (
    TINY_LLAMA,
    WEIGHTS,
    facts_of,
    hostile_pickle,
    lora,
    openers,
    pack,
    prompt,
    tensor_pickle,
    with_header,
)
from tests.sweep import sweep

ROOT = Path(__file__).resolve().parents[2]


def test_it_is_imported_without_torch_and_without_any_package():
    code = "import sys; sys.path[:0] = sys.argv[1:]; import dovetail.adapters; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT / "client" / "src")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not {"torch", "numpy", "safetensors", "yaml"} & set(done.stdout.split())


def test_an_adapter_is_described_from_its_config_alone():
    files = openers(lora(rank=8, alpha=16, revision="abc"))
    found = describe({"adapter_config.json": files["adapter_config.json"]})
    assert found is not None
    assert (found.format, found.kind, found.base, found.base_revision) == ("peft", "lora", "tiny/bert", "abc")
    assert (found.rank, found.alpha, found.task, found.parameters) == (8, 16.0, "text-classification", None)
    assert found.target_modules == ("query", "value")


def test_with_weights_the_parameters_are_counted():
    found = describe(openers(prompt("PREFIX_TUNING", TINY_LLAMA, tokens=5)))
    assert found is not None
    assert (found.kind, found.virtual_tokens, found.parameters) == ("prefix-tuning", 5, 5 * 2 * 2 * 32)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"README.md": b"hello"}, None),
        ({"config.json": b"{}", "model.safetensors": b""}, None),
        ({"data/train.jsonl": b"{}"}, None),
        ({"adapter_config.json": b"not json"}, "unknown"),
        ({WEIGHTS: b"short"}, "unknown"),
        ({"adapter_model.bin": b"\x80"}, "unknown"),
        ({"adapter_config.json": b'{"config": {}, "model_class": "X", "model_name": "a/b"}'}, "adapters"),
        ({"adapter_config.json": b'{"lora_parameters": {}, "model": "a/b"}'}, "mlx"),
    ],
)
def test_what_is_no_adapter_is_not_described_and_what_is_broken_still_is(files, expected):
    found = describe(openers(files))
    assert (found and found.format) == expected


@pytest.mark.parametrize("files", [lora(), lora(TINY_LLAMA, task="CAUSAL_LM", dtype="BF16"), prompt("P_TUNING")])
def test_an_honest_adapter_passes_every_check_of_its_files(files):
    results = list(check(openers(files), facts_of(files)))
    assert [result.id for result in results] == ids_of("peft", "lora")
    assert {result.outcome for result in results} <= {"passed", "warned", "skipped"}
    assert all(result.message.endswith(".") for result in results), results


def test_the_demo_adapter_in_the_repository_is_sound():
    results = list(check(files_in(ROOT / "demo" / "reviews-lora")))
    assert {result.id for result in results if result.outcome == "failed"} == set()


# --- headers --------------------------------------------------------------------------------------------------------
def one(dtype="F32", shape=(2, 2), offsets=(0, 16), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def read(entries, body=bytes(16), raw=None):
    return header.read(io.BytesIO(with_header(json.dumps(entries).encode() if raw is None else raw, body)))


def test_a_sound_header_says_where_each_tensor_is():
    found = read({"a": one(), "__metadata__": {"format": "pt"}})
    start = 8 + len(json.dumps({"a": one(), "__metadata__": {"format": "pt"}}))
    assert found.tensors["a"].shape == (2, 2)
    assert (found.tensors["a"].offset, found.tensors["a"].end) == (start, start + 16)
    assert found.metadata == {"format": "pt"}


@sweep(
    "entries",
    [
        {"a": one(dtype="F33")},
        {"a": one(dtype=[])},
        {"a": one(shape=())},
        {"a": one(shape=(1, 1, 1, 2, 2))},
        {"a": one(shape=(0, 4), offsets=(0, 0))},
        *({"a": one(shape=(0, 4)) | {"data_offsets": offsets}} for offsets in (5, True, 0.5, "aa", {"0": 1}, [])),
        {"a": one(shape=[0] * 100_000, offsets=(0, 0))},
        {"a": one(shape=(-2, -2))},
        {"a": one(shape=(2.0, 2))},
        {"a": one(shape=(True, 4))},
        {"a": one(offsets=(0, 8))},
        {"a": one(offsets=(0, 16, 16))},
        {"a": one(offsets=(-16, 0))},
        {"a": one(extra=1)},
        {"a": one(), "b": one()},
        {"a": one(shape=(2, 1), offsets=(0, 8)), "b": one(shape=(1, 1), offsets=(12, 16))},
        {"a": one(shape=(2, 1), offsets=(8, 16))},
        {"a/../b": one()},
        {"a" * 300: one()},
        {"a": 3},
        {"a": one(), "__metadata__": {"n": 1}},
        {"a": one(), "__metadata__": {"n": "x" * 3_000_000}},
        {"a": one(shape=(2**40, 2**40), offsets=(0, 2**47))},
    ],
)
def test_a_header_that_could_be_read_in_two_ways_is_refused(entries):
    with pytest.raises(HeaderError) as refusal:
        read(entries)
    assert len(str(refusal.value)) < 2000


@pytest.mark.parametrize(
    "raw", [b'{"a":1,"a":2}', b" {}", b"[]", b'{"a":NaN}', b"\xff{", b"{" * 1000, b'{"a":' + b"9" * 5000 + b"}"]
)
def test_a_header_that_is_no_plain_json_is_refused(raw):
    with pytest.raises(HeaderError):
        read({}, raw=raw)


def test_our_own_packing_is_what_the_library_reads():
    from safetensors.numpy import load

    files = lora()
    assert set(load(files[WEIGHTS])) == set(header.read(io.BytesIO(files[WEIGHTS])).tensors)
    assert pack({"a": ("F32", (1,), bytes(4))})[8:9] == b"{"


# --- values ---------------------------------------------------------------------------------------------------------
@sweep("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["F16", "F32", "F64", "BF16"])
def test_one_bad_value_among_many_is_found_in_every_dtype(dtype, value):
    values = np.random.default_rng(0).normal(size=1001).astype("<f4")
    values[7] = 6e4 if dtype == "F16" else np.finfo("<f4").max  # large is not infinite

    def raw(array):
        if dtype == "BF16":
            return (array.view("<u4") >> 16).astype("<u2").tobytes()
        return array.astype({"F16": "<f2", "F32": "<f4", "F64": "<f8"}[dtype]).tobytes()

    assert not has_not_finite(dtype, raw(values))
    values[500] = value
    assert has_not_finite(dtype, raw(values))


def test_zero_is_zero_with_either_sign_and_nothing_else_is():
    zeros = np.zeros(100, "<f4")
    zeros[::2] = -0.0
    assert is_all_zero("F32", zeros.tobytes())
    for tiny in (1e-45, -1e-45, 1e-30):
        zeros[50] = tiny
        assert not is_all_zero("F32", zeros.tobytes())
    assert is_all_zero("I64", bytes(80))


def test_huge_begins_at_two_to_the_fifteen():
    assert not is_huge("F32", np.array([32_767.0, -32_767.0], "<f4").tobytes())
    assert is_huge("F32", np.array([0.0, -32_768.0], "<f4").tobytes())


# --- patterns -------------------------------------------------------------------------------------------------------
PATTERNS = [
    r".*\.(q_proj|v_proj)$", r"^(?!.*vision).*q_proj$", r"^(model(?=\.).*\.(q_proj|k_proj))$", r"[^.]+\.layers?\.\d+.*",
    r"(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|k_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.mlp)",
    r"model\.layers\.[0-3]\..*", r".*", r"", r"(a|b){2,3}x?", r"\w+\.\w+(?:\.\d+)?.*_proj\Z", r"[a-z.]*\d[a-z._]*",
    r"model$",
]  # fmt: skip
MODULES = [
    "model.layers.3.self_attn.q_proj", "model.language.layers.0.mlp.k_proj", "vision.q_proj", "model.layers.12.mlp",
    "", "abx", "aab", "model", "model\n", "x\ny",
]  # fmt: skip


@sweep("pattern", PATTERNS)
@pytest.mark.parametrize("module", MODULES)
def test_patterns_match_what_re_matches(pattern, module):
    assert Pattern(pattern).fullmatch(module) == bool(re.fullmatch(pattern, module))
    assert Pattern(pattern).match(module) == bool(re.match(pattern, module))


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(([a-z_.0-9])+)+!",
        "(a|ab)*c",
        "((a*)*)*",
        r"(a)\1",
        "(?<=a)b",
        "(?i)a",
        "x" * 600,
        "(",
        "a{5000}",
        "(?P<n>a)(?(n)b|c)",
    ],
)
def test_patterns_that_could_take_for_ever_or_are_not_understood_are_refused_at_once(pattern):
    began = time.monotonic()
    with pytest.raises(PatternError):
        Pattern(pattern).fullmatch("a" * 60)
    assert time.monotonic() - began < 60  # searched for, a match takes years


def test_a_pattern_that_is_merely_slow_runs_out_of_its_budget():
    with pytest.raises(PatternError, match="steps"):
        Pattern(".*" * 250 + "x").fullmatch("a" * 256)


# --- pickles --------------------------------------------------------------------------------------------------------
def scan(name, data):
    return pickles.read(name, io.BytesIO(data))


def test_a_pickle_is_known_by_its_bytes_whatever_its_name():
    found = scan("notes.txt", hostile_pickle())
    assert found is not None
    assert found.imports == {"builtins print"}
    assert not found.only_tensors


def test_tensors_only_are_told_apart():
    found = scan("adapter_model.bin", tensor_pickle())
    assert found is not None
    assert found.only_tensors, found


def test_a_pickle_that_cannot_be_read_to_its_end_is_not_safe():
    found = scan("adapter_model.bin", hostile_pickle()[:-4])
    assert found is not None
    assert not found.only_tensors


@pytest.mark.parametrize("data", [b"no pickle at all", b"", b"PK\x03\x04broken", pickle.dumps(3, protocol=0) + b"rest"])
def test_what_reaches_no_import_is_data_whatever_its_name(data):
    found = scan("adapter_model.bin", data)
    assert found is None or found.is_data


def test_a_second_pickle_behind_the_first_is_read_too():
    found = scan("adapter_model.bin", pickle.dumps({"a": 1}) + hostile_pickle())
    assert found is not None
    assert "builtins print" in found.imports


@pytest.mark.parametrize("name", ["README.md", "adapter_model.safetensors", "data.zip"])
def test_ordinary_files_are_no_pickles(name):
    assert scan(name, lora()[WEIGHTS]) is None
    assert scan(name, b"# A card") is None
    assert scan(name, struct.pack("<Q", 2) + b"{}") is None
