"""Weights of tools outside of PEFT are told by their tensors, under any name, and so is what is no adapter."""

import pytest

from dovetail.adapters import check, describe
from dovetail.adapters.formats import images
from dovetail.adapters.formats.bystanders import told
from tests.adapters import openers
from tests.engine.wild import NONE, WILD, kohya, pair, safe
from tests.sweep import sweep


@sweep("name", WILD)
def test_weights_of_other_tools_are_recognised_by_their_tensors(name):
    format, kind, files = WILD[name]
    found = describe(openers(files))
    assert found is not None
    assert (found.format, found.kind) == (format, kind)
    results = {result.id: result for result in check(openers(files))}
    assert [id for id, result in results.items() if result.outcome == "failed"] == []
    assert results["run.not-here"].where["format"] == format
    assert results["file.header"].outcome == "passed"


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_adapter_is_told_by_its_bytes(name):
    files, words = NONE[name]
    assert describe(openers(files)) is None
    sight, _ = told(openers(files))
    assert [word for word in words if word not in sight] == [], sight


@sweep("name, family", [
        ("influx-db/base", ""), ("black-forest-labs/FLUX.1-dev", "Flux"), ("flux-1-dev/lora", "Flux"),
        ("black-forest-labs/FLUX.2-dev", "Flux 2"), ("me/taiwan-style", ""), ("Wan-AI/Wan2.1-T2V-14B", "Wan"),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", "Stable Diffusion 1"), ("sd_v1", "Stable Diffusion 1"),
        ("sdxl_base_v1-0", "Stable Diffusion XL"), ("stable-diffusion-xl-v1-base", "Stable Diffusion XL"),
        ("stabilityai/stable-diffusion-3.5-large", "Stable Diffusion 3"), ("sd3m", "Stable Diffusion 3"),
        ("stabilityai/stable-diffusion-2-1", "Stable Diffusion 2"), ("Qwen/Qwen-Image", "Qwen-Image"),
        ("Lightricks/LTX-Video", "LTX-Video"), ("sdxlarge", ""), ("Juggernaut", ""),
    ])  # fmt: skip
def test_a_name_means_a_family_by_whole_words_alone(name, family):
    assert images.of_name(name) == family


ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
TRAINED = {
    "SD 1 by its width": (pair(f"unet.{ATTENTION}", 768, 320), "Stable Diffusion 1"),
    "SDXL by its width": (pair(f"unet.{ATTENTION}", 2048, 640), "Stable Diffusion XL"),
    "SDXL of kohya by its width": (kohya("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_v", 2048, 640),
                                   "Stable Diffusion XL"),
    "SD 2 by its width": (kohya("lora_unet_" + ATTENTION.replace(".", "_"), 1024, 320), "Stable Diffusion 2"),
    "SD 3": (kohya("lora_unet_joint_blocks_0_x_block_attn_qkv", 16, 16), "Stable Diffusion 3"),
    "Wan": (pair("diffusion_model.blocks.0.cross_attn.k", 8, 8), "Wan"),
    "LTX": (pair("diffusion_model.transformer_blocks.0.attn1.to_q", 2048, 8), "LTX-Video"),
    "Qwen-Image": (pair("transformer.transformer_blocks.0.attn.to_q", 3072, 8)
                   | pair("transformer.transformer_blocks.0.txt_mlp.net.2", 8, 8), "Qwen-Image"),
    "Flux or what is like it": (pair("diffusion_model.double_blocks.0.img_attn.qkv", 8, 8),
                                "Chroma or Flux or Flux 2 or HunyuanVideo"),
}  # fmt: skip


def mismatch(shapes, base, **notes):
    return next(one for one in check(openers({"x": safe(shapes, **notes)}), {"base_model": base})
                if one.id == "base.mismatch")  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_names_and_widths_tell_the_model_whatever_the_card_says(name):
    shapes, families = TRAINED[name]
    found = mismatch(shapes, "PixArt-alpha/PixArt-XL-2")
    assert (found.outcome, found.where["expected"]) == ("failed", families)
    own = {"Stable Diffusion XL": "RunDiffusion/My-SDXL"}.get(families, families.split(" or ")[0].replace(" ", "-"))
    assert mismatch(shapes, f"me/{own}").outcome == "passed"
    assert mismatch(shapes, "influx/reflux").outcome == "passed", "a word within a word says nothing"


def test_a_header_of_another_model_than_its_tensors_is_told_and_decides_nothing():
    shapes, _ = TRAINED["SD 1 by its width"]
    found = mismatch(shapes, "runwayml/stable-diffusion-v1-5", ss_base_model_version="sdxl_base_v1-0")
    assert (found.outcome, found.where) == (
        "warned", {"expected": ["Stable Diffusion 1"], "found": "Stable Diffusion XL"},
    )  # fmt: skip
