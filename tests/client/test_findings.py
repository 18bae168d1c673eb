"""Faults that trainers and tools leave are told as what they are, with the way out of each."""

import json

import numpy as np
import pytest

from dovetail.adapters.checks import checks_of, opened
from dovetail.adapters.formats import bases
from dovetail.adapters.formats.bystanders import sighted
from dovetail.adapters.formats.tokens import Names
from dovetail.adapters.readers.folder import Base
from dovetail.adapters.results.findings import Finding
from tests.adapters import CONFIG, WEIGHTS, config, lora, openers, pack, renamed, unpack, weights, with_header
from tests.engine.test_fields import BASE

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 1234567\n"
PREFIX = "base_model.model."


def answer(id, files, card=None, base=BASE, **facts):
    folder = opened(openers(files), card or {})
    folder.base = Base("tiny/bert", base, 96, **facts) if base else None
    check = next(check for check in checks_of(folder) if check.id == id)
    found = check.ask(folder)
    return found if isinstance(found, Finding) else Finding("passed", found)


def ungathered(files):
    header = {name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in unpack(files[WEIGHTS])}
    return {**files, WEIGHTS: with_header(json.dumps(header).encode(), b"")}


def turned(tensors):
    def turn(entry):
        dtype, shape, raw = entry
        return dtype, shape[::-1], np.ascontiguousarray(np.frombuffer(raw, "<f4").reshape(shape).T).tobytes()

    return {name: turn(entry) if "lora_" in name else entry for name, entry in tensors.items()}


def parts(files):
    names = (f"adapter_model-0000{at}-of-00002.safetensors" for at in (1, 2))
    return {CONFIG: files[CONFIG], **dict.fromkeys(names, files[WEIGHTS])}


@pytest.mark.parametrize(
    ("id", "spoil", "message", "fix"),
    [
        ("fit.missing", renamed(PREFIX, f"{PREFIX}module."), "DistributedDataParallel or DeepSpeed left", "unwrap"),
        ("fit.missing", renamed(PREFIX, f"{PREFIX}_orig_mod."), "torch.compile left '_orig_mod'", "'_orig_mod.'"),
        ("fit.missing", renamed(".attention.", "._fsdp_wrapped_module.attention."), "FSDP left", "Remove '_fsdp"),
        ("file.header", ungathered, "DeepSpeed's ZeRO-3 keeps a part in each process", "zero_to_fp32.py"),
        ("file.header", lambda files: {**files, WEIGHTS: POINTER}, "a Git LFS pointer", "git lfs push --all"),
        ("file.missing", parts, "The weights are in 2 parts", "Join the parts"),
        ("config.rank", weights(turned), "every lora_A and lora_B is transposed or swapped", "Transpose each matrix"),
        ("base.local-path", config(base_model_name_or_path="https://huggingface.co/google-bert/bert-base-uncased"),
         "an address; loaders expect a name", "to 'google-bert/bert-base-uncased'"),
    ],
)  # fmt: skip
def test_a_fault_of_trainers_is_told_as_what_it_is(id, spoil, message, fix):
    found = answer(id, spoil(lora()))
    assert found.outcome == "failed"
    assert message in found.message
    assert fix in found.fix


def kohya(metadata, second=False):
    modules = ["lora_unet_down_blocks_0_attentions_0_proj_in", *(["lora_te2_text_model_a"] if second else [])]
    tensors = {}
    for module in modules:
        tensors[f"{module}.lora_down.weight"] = ("F32", (4, 8), np.ones((4, 8), "<f4").tobytes())
        tensors[f"{module}.lora_up.weight"] = ("F32", (8, 4), np.ones((8, 4), "<f4").tobytes())
    return {"style.safetensors": pack(tensors, metadata)}


def test_a_lora_for_other_images_than_its_card_says_is_a_mismatch():
    card = {"base_model": "stable-diffusion-v1-5/stable-diffusion-v1-5"}
    for files in (kohya({"ss_base_model_version": "sdxl_base_v1-0"}), kohya({}, second=True)):
        found = answer("base.mismatch", files, card, base=None)
        assert found.outcome == "failed"
        assert "for Stable Diffusion XL" in found.message
    assert answer("base.mismatch", kohya({"ss_base_model_version": "sd_v1"}), card, base=None).outcome == "passed"
    assert answer("base.mismatch", kohya({}), {"base_model": "me/mine"}, base=None).outcome == "passed"


def test_notes_that_programs_need_are_no_private_data():
    needed = {"ss_base_model_version": "sd_v1", "ss_network_dim": "4", "ss_network_module": "networks.lora"}
    assert answer("privacy.training-data", kohya(needed), base=None).outcome == "passed"
    found = answer("privacy.training-data", kohya(needed | {"ss_tag_frequency": "{}"}), base=None)
    assert found.outcome == "warned"
    assert found.where["keys"] == ["ss_tag_frequency"]


def test_names_of_comfyui_and_ai_toolkit_are_a_lora_for_images():
    name = "diffusion_model.double_blocks.0.img_attn.qkv"
    tensors = {f"{name}.lora_{side}.weight": ("F32", shape, np.ones(shape, "<f4").tobytes())
               for side, shape in (("A", (4, 8)), ("B", (8, 4)))}  # fmt: skip
    files = {"style.safetensors": pack(tensors, {})}
    assert type(opened(openers(files), {})).__name__ == "Foreign"
    assert answer("config.kind", files, base=None).message == "style.safetensors is a LoRA of diffusers, for images."


def test_names_that_a_base_does_not_have_at_all_tell_nothing_of_a_file_of_loralib():
    """Meta's names of a Llama are not those of transformers, and a checkpoint may have a model's name in front."""
    entry = ("F32", (4, 32), np.ones((4, 32), "<f4").tobytes())
    other = ("F32", (32, 4), np.ones((32, 4), "<f4").tobytes())
    for module, outcome in (
        ("layers.0.attention.wq", "skipped"), ("bert.encoder.layer.0.attention.self.query", "passed"),
        ("net.bert.encoder.layer.0.attention.self.query", "passed"),
    ):  # fmt: skip
        files = {"lora.safetensors": pack({f"{module}.lora_A": entry, f"{module}.lora_B": other}, {})}
        assert answer("fit.unexpected", files).outcome == outcome


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("model-00001-of-00002.safetensors", "a full model"), ("out/pytorch_model.bin", "a full model"),
        ("llama-Q4_K_M.gguf", "a model in GGUF"), ("learned_embeds.safetensors", "a textual inversion"),
        ("ip-adapter_sd15.safetensors", "an IP-Adapter"), ("lit_model.pth.lora", "a LoRA of LitGPT"),
        ("control_vector.gguf", "a control or steering vector"), ("notes.txt", ""),
    ],
)  # fmt: skip
def test_what_is_no_adapter_is_named_where_its_name_tells(path, what):
    sight = sighted(["README.md", path])
    assert what in sight[0] if what else sight is None


BASE_NAMES = Names({"eos_token": "<|end|>", "pad_token": "<|pad|>"}, frozenset({"<|tool|>"}), {90: "<|spare 0|>"})


def tokenizer(**stated):
    return {**lora(task="CAUSAL_LM"), "tokenizer_config.json": json.dumps(stated).encode()}


@pytest.mark.parametrize(
    ("files", "outcome", "message"),
    [
        (tokenizer(eos_token="<|end|>", pad_token="<|pad|>"), "passed", "It uses the vocabulary of the base."),
        (tokenizer(eos_token={"content": "<|im_end|>"}), "warned", "ends a text with '<|im_end|>'"),
        ({**tokenizer(eos_token="</s>"), CONFIG: lora()[CONFIG]}, "passed", "eos_token is '</s>', in the base"),
        (tokenizer(added_tokens_decoder={"90": {"content": "<tool>"}}), "warned", "Token 90 is '<tool>'"),
        (tokenizer(added_tokens_decoder={"90": {"content": "<|spare 0|>"}}), "passed", "vocabulary of the base."),
        (tokenizer(pad_token="<|end|>"), "passed", "pad_token is '<|end|>', in the base '<|pad|>'"),
        (tokenizer(bos_token="<s>", additional_special_tokens=["<a>"]), "passed",
         "bos_token is '<s>', and the base has none; it has the extra special tokens <a>"),
        (tokenizer(added_tokens_decoder={"7": {"content": "<b>"}}), "passed", "it adds the tokens 7"),
        (tokenizer(eos_token=7, added_tokens_decoder=[1]), "passed", "vocabulary of the base."),
    ],
)  # fmt: skip
def test_names_of_tokens_warn_only_where_generation_breaks(files, outcome, message):
    found = answer("base.vocabulary", files, token_names=BASE_NAMES)
    assert (found.outcome, message in found.message) == (outcome, True), found
    unknown = answer("base.vocabulary", files)
    assert unknown.outcome == "passed", "of a base whose tokenizer is not known nothing is said"


@pytest.mark.parametrize(
    ("name", "base", "relation"),
    [
        ("mlx-community/Meta-Llama-3-8B-Instruct-4bit", "meta-llama/Meta-Llama-3-8B-Instruct", "quantised"),
        ("mlx-community/Mistral-7B-Instruct-v0.3-8bit", "mistralai/Mistral-7B-Instruct-v0.3", "quantised"),
        ("mlx-community/Qwen3-8B-4bit-DWQ", "Qwen/Qwen3-8B", "quantised"),
        ("mlx-community/Qwen3-8B-mlx-6Bit", "Qwen/Qwen3-8B", "quantised"),
        ("mlx-community/gpt-oss-20b-MXFP4-Q4", "openai/gpt-oss-20b", "quantised"),
        ("mlx-community/Meta-Llama-3-8B-Instruct-4bit", "meta-llama/Meta-Llama-3-8B", ""),
        ("me/Meta-Llama-3-8B-Instruct-4bit", "meta-llama/Meta-Llama-3-8B-Instruct", ""),
    ],
)
def test_a_copy_of_mlx_community_means_the_base_that_it_was_made_of(name, base, relation):
    assert bases.relation(name, base) == relation


def test_an_mlx_adapter_says_on_which_base_its_copy_was_proven():
    said = {"model": "mlx-community/bert-4bit", "fine_tune_type": "lora", "lora_parameters": {"rank": 4, "scale": 2.0}}
    shapes = {"lora_a": (32, 4), "lora_b": (4, 32)}
    tensors = {f"encoder.layer.0.attention.self.query.{part}": ("F32", shape, np.ones(shape, "<f4").tobytes())
               for part, shape in shapes.items()}  # fmt: skip
    files = {CONFIG: json.dumps(said).encode(), "adapters.safetensors": pack(tensors, {})}
    found = answer("base.quantised", files)
    assert found.outcome == "passed"
    assert found.message.startswith("By its name, mlx-community/bert-4bit is a quantised copy of tiny/bert")
    files = {**files, CONFIG: json.dumps(said | {"model": "tiny/bert"}).encode()}
    assert answer("base.quantised", files).message == "It names tiny/bert."
    assert answer("base.quantised", files, base=None).outcome == "skipped"
