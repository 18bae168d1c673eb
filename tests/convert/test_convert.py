"""Conversions and variants: what is lossless comes back bit for bit, and all else is refused by name."""

import io
import json
import math
import struct

import numpy as np
import pytest

from dovetail.adapters import convert
from dovetail.adapters.convert import Settings, Unconvertible, by_rank, loralib
from dovetail.adapters.convert.lora import Lazy
from dovetail.adapters.files import header as headers
from dovetail.adapters.files import values
from dovetail.adapters.files.gguf import read_whole
from dovetail.adapters.readers.folder import files_in
from tests.adapters import CONFIG, TINY_BERT, TINY_LLAMA, WEIGHTS, lora, openers, pack, unpack, write
from tests.sweep import sweep

BASE = {"config.json": lambda: io.BytesIO(b'{"model_type": "qwen2", "num_attention_heads": 4}')}
PLAIN = lora(TINY_LLAMA, task="CAUSAL_LM")


def changed(files, *, tensors=None, **config):
    """Return a copy with other keys in its config, and tensors added."""
    new = {**files, CONFIG: json.dumps({**json.loads(files[CONFIG]), **config}).encode()}
    return {**new, WEIGHTS: pack({**unpack(files[WEIGHTS]), **tensors})} if tensors else new


def made(tmp_path, files, to, **options):
    folder = tmp_path / f"{to}{len(list(tmp_path.iterdir()))}"
    conversion = convert.convert(openers(files) if isinstance(files, dict) else files_in(files), to, **options)
    conversion.write(folder)
    return folder, conversion.facts()


def bits(path):
    with path.open("rb") as file:
        return {
            name: (tensor.dtype, tensor.shape, _bytes(file, tensor))
            for name, tensor in headers.read(file).tensors.items()
        }


def _bytes(file, tensor):
    file.seek(tensor.offset)
    return file.read(tensor.size)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("ways", [("bin", "safetensors"), ("mlx", "peft")], ids=lambda ways: ways[0])
def test_there_and_back_gives_the_same_bits(tmp_path, ways, dtype):
    files = lora(TINY_LLAMA, task="CAUSAL_LM", dtype=dtype)
    first = write(files, tmp_path / "first")
    there, facts = made(tmp_path, files, ways[0])
    assert facts["lossless"] is True
    assert not (there / WEIGHTS).exists()
    back, _ = made(tmp_path, there, ways[1])
    assert bits(back / WEIGHTS) == bits(first / WEIGHTS)
    old, new = (json.loads((folder / CONFIG).read_text()) for folder in (first, back))
    assert all(old[key] == new[key] for key in ("r", "lora_alpha", "target_modules", "base_model_name_or_path"))


def test_mlx_has_another_name_for_the_text_model_of_a_model_with_vision(tmp_path):
    tensors = unpack(PLAIN[WEIGHTS])
    wrapped = {
        name.replace(".model.layers.", ".model.language_model.layers."): value for name, value in tensors.items()
    }
    files = {**PLAIN, WEIGHTS: pack(wrapped)}
    there, _ = made(tmp_path, files, "mlx")
    names = set(bits(there / "adapters.safetensors"))
    assert {name.partition(".layers.")[0] for name in names} == {"language_model.model"}
    back, _ = made(tmp_path, there, "peft")
    assert set(bits(back / WEIGHTS)) == set(wrapped)


def test_the_same_request_gives_the_same_bytes(tmp_path):
    for to in ("mlx", "gguf", "bin", "bf16"):
        one, other = (made(tmp_path, PLAIN, to, base_files=BASE)[0] for _ in range(2))
        assert {path.name: path.read_bytes() for path in one.iterdir()} == {
            path.name: path.read_bytes() for path in other.iterdir()
        }


def test_a_gguf_adapter_holds_the_same_bytes_under_the_names_of_llama_cpp(tmp_path):
    folder, _ = made(tmp_path, PLAIN, "gguf", base_files=BASE)
    with (folder / "adapter.gguf").open("rb") as file:
        whole = read_whole(file)
        assert whole.texts == {"general.architecture": "qwen2", "general.type": "adapter", "adapter.type": "lora"}
        assert whole.numbers["adapter.lora.alpha"] == 8
        own = unpack(PLAIN[WEIGHTS])
        for name, tensor in whole.tensors.items():
            layer, part, side = name.split(".")[1], name.split(".")[2][-1], name[-1].upper()
            path = f"base_model.model.model.layers.{layer}.self_attn.{part}_proj.lora_{side}.weight"
            assert (tensor.dtype, tensor.shape, _bytes(file, tensor)) == own.pop(path)
            assert tensor.offset % 32 == 0
    assert own == {}


NOT_LOSSLESS = {
    "a head": (lora(TINY_BERT), "mlx", "classifier"),
    "bias": (changed(PLAIN, bias="all"), "mlx", "bias is set"),
    "a base that is changed": (changed(PLAIN, init_lora_weights="pissa_niter_4"), "gguf", "changes while it loads it"),
    "experts": (changed(PLAIN, target_parameters=["mlp.experts"]), "gguf", "target_parameters"),
    "unlike ranks for mlx": (
        changed(PLAIN, rank_pattern={"q_proj": 8}), "mlx", "layers.0.self_attn.q_proj: its matrices have rank 4",
    ),
    "unlike scales for mlx": (
        changed(PLAIN, alpha_pattern={"layers.1.self_attn.q_proj": 3}), "mlx", "layers.1.self_attn.q_proj: its scale",
    ),
    "unlike alphas for gguf": (
        changed(PLAIN, alpha_pattern={"layers.1.self_attn.q_proj": 3}), "gguf", "layers.1.self_attn.q_proj: its alpha",
    ),
    "a root that 32 bits do not hold": (
        lora(TINY_LLAMA, task="CAUSAL_LM", rank=8, use_rslora=True), "gguf", "does not fit into 32 bits",
    ),
    "DoRA for gguf": (lora(TINY_LLAMA, task="CAUSAL_LM", dora=True), "gguf", "q_proj: GGUF has no form for DoRA"),
    "a text model for kohya": (PLAIN, "kohya", "self_attn.q_proj: kohya has names for the modules of UNets"),
    "a text model for diffusers": (PLAIN, "diffusers", "self_attn.q_proj: it is not a module of a UNet"),
    "another method": (changed(PLAIN, peft_type="LOHA"), "mlx", "It is LOHA"),
    "an odd alpha": (changed(PLAIN, lora_alpha="much"), "mlx", "lora_alpha in its config has an invalid value"),
    "its own format": (PLAIN, "peft", "already in the format peft"),
    "an unknown format": (PLAIN, "onnx", "There is no format 'onnx'"),
    "no pickle": (PLAIN, "safetensors", "There are no weights in a file of torch.save"),
    "no adapter": ({"README.md": b"nothing"}, "mlx", "There is no adapter in a known format here"),
}  # fmt: skip


@sweep("case", NOT_LOSSLESS)
def test_what_would_be_another_adapter_is_refused_with_the_reason_and_the_module(case):
    files, to, reason = NOT_LOSSLESS[case]
    with pytest.raises(Unconvertible) as refusal:
        convert.convert(openers(files), to, base_files=BASE)
    assert reason in str(refusal.value)


def test_what_began_with_a_random_part_of_the_base_is_no_lora_of_any_rank():
    config = json.loads(PLAIN[CONFIG]) | {"init_lora_weights": "pissa_niter_4"}
    with pytest.raises(Unconvertible, match="draws a part of the base's weights at random"):
        by_rank.read({}, config, {}, {}, 8, lambda *_: iter(()))


def test_a_state_dict_s_names_convert_as_those_that_peft_saves():
    def renamed(files):
        tensors = {name.replace(".weight", ".default.weight"): one for name, one in unpack(files[WEIGHTS]).items()}
        return {**files, WEIGHTS: pack(tensors)}

    for files, to in ((PLAIN, "mlx"), (PLAIN, "gguf"), (lora(TINY_LLAMA, task="CAUSAL_LM", dora=True), "mlx")):
        made = [convert.convert(openers(one), to, base_files=BASE).files for one in (files, renamed(files))]
        saved, by_hand = ({path: written(write) for path, write in one.items()} for one in made)
        assert saved == by_hand


def written(write):
    target = io.BytesIO()
    write(target)
    return target.getvalue()


@pytest.mark.parametrize(
    ("model", "reason"),
    [(b'{"model_type": "bert"}', "of type bert"), (b"{}", "no model_type"), (b"[1", "no model_type")],
)
def test_gguf_needs_a_base_that_llama_cpp_knows(model, reason):
    with pytest.raises(Unconvertible, match=reason):
        convert.convert(openers(PLAIN), "gguf", base_files={"config.json": lambda: io.BytesIO(model)})
    with pytest.raises(Unconvertible, match="needs the files of the base"):
        convert.convert(openers(PLAIN), "gguf")


# --- kohya's names ---------------------------------------------------------------------------------------------------
def kohya(*modules, part="lora_up.weight"):
    tensors = {}
    for name in modules:
        tensors[f"{name}.lora_down.weight"] = ("F32", (2, 4), np.ones((2, 4), "<f4").tobytes())
        tensors[f"{name}.{part}"] = ("F32", (6, 2), np.ones((6, 2), "<f4").tobytes())
        tensors[f"{name}.alpha"] = ("F32", (), struct.pack("<f", 3.0))
    return {"images.safetensors": pack(tensors)}


UNET = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
TEXT = "lora_te1_text_model_encoder_layers_3_self_attn_q_proj"


def test_a_kohya_file_of_three_models_becomes_one_of_diffusers_and_no_folder_of_peft(tmp_path):
    all_of_them = kohya(UNET, TEXT, TEXT.replace("te1", "te2"))
    folder, _ = made(tmp_path, all_of_them, "diffusers")
    tensors = bits(folder / "pytorch_lora_weights.safetensors")
    assert {name.partition(".")[0] for name in tensors} == {"unet", "text_encoder", "text_encoder_2"}
    back, _ = made(tmp_path, folder, "kohya")
    assert bits(next(back.glob("*.safetensors"))) == bits(write(all_of_them, tmp_path / "own") / "images.safetensors")
    with pytest.raises(Unconvertible, match=r"adapts 3 models .* Convert it to diffusers"):
        convert.convert(openers(all_of_them), "peft")
    alone, _ = made(tmp_path, kohya(TEXT), "peft", base="org/base")
    config = json.loads((alone / CONFIG).read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (2, 3, "org/base")
    assert config["auto_mapping"]["base_model_class"] == "CLIPTextModel"


# What trainers write → diffusers' paths; `programs/image_libraries.py` has diffusers load every module that there is.
PLACES = {
    "lora_unet_input_blocks_8_1_transformer_blocks_9_ff_net_2":
        "unet.down_blocks.2.attentions.1.transformer_blocks.9.ff.net.2",
    "lora_unet_output_blocks_5_2_conv": "unet.up_blocks.1.upsamplers.0.conv",
    "lora_unet_output_blocks_2_1_conv": "unet.up_blocks.0.upsamplers.0.conv",
    "lora_unet_middle_block_2_in_layers_2": "unet.mid_block.resnets.1.conv1",
    "lora_unet_label_emb_0_2": "unet.add_embedding.linear_2",
    "lora_unet_mid_block_resnets_0_time_emb_proj": "unet.mid_block.resnets.0.time_emb_proj",
    "lora_unet_single_blocks_37_modulation_lin": "transformer.single_transformer_blocks.37.norm.linear",
    "lora_unet_time_in_in_layer": "transformer.time_text_embed.timestep_embedder.linear_1",
    "lora_transformer_transformer_blocks_3_attn_to_add_out": "transformer.transformer_blocks.3.attn.to_add_out",
    "lora_unet_transformer_blocks_7_img_mlp_net_2": "transformer.transformer_blocks.7.img_mlp.net.2",
    "lora_unet_blocks_3_cross_attn_k_img": "transformer.blocks.3.attn2.add_k_proj",
    "lycoris_single_transformer_blocks_2_attn_to_v": "transformer.single_transformer_blocks.2.attn.to_v",
    "lora_te2_text_projection": "text_encoder_2.text_projection",
    "diffusion_model.input_blocks.1.1.proj_in": "unet.down_blocks.0.attentions.0.proj_in",
    "diffusion_model.double_blocks.2.txt_mod.lin": "transformer.transformer_blocks.2.norm1_context.linear",
    "text_encoders.clip_g.transformer.text_model.encoder.layers.3.mlp.fc1":
        "text_encoder_2.text_model.encoder.layers.3.mlp.fc1",
    "unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_out":
        "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
    "text_encoder.text_model.encoder.layers.0.self_attn.to_out":
        "text_encoder.text_model.encoder.layers.0.self_attn.out_proj",
}  # fmt: skip


def test_the_names_of_each_trainer_are_modules_of_diffusers(tmp_path):
    wrong = {}
    for name, path in PLACES.items():
        end = "_lora.up.weight" if name.endswith(("processor.to_out", "attn.to_out")) else ".lora_up.weight"
        tensors = {name + end: ("F32", (6, 2), np.ones((6, 2), "<f4").tobytes()),
                   name + end.replace("up", "down"): ("F32", (2, 4), np.ones((2, 4), "<f4").tobytes())}  # fmt: skip
        folder, _ = made(tmp_path, {"it.safetensors": pack(tensors)}, "diffusers")
        found = sorted(bits(folder / "pytorch_lora_weights.safetensors"))
        if found != [f"{path}.lora_A.weight", f"{path}.lora_B.weight"]:
            wrong[name] = found
    assert wrong == {}


def test_an_alpha_may_be_a_whole_number(tmp_path):
    """sd-scripts writes one where no alpha was asked for and the file is saved as it was trained."""
    tensors = {**unpack(kohya(UNET)["images.safetensors"]), f"{UNET}.alpha": ("I64", (), struct.pack("<q", 8))}
    folder, _ = made(tmp_path, {"images.safetensors": pack(tensors)}, "peft")
    assert json.loads((folder / CONFIG).read_text())["lora_alpha"] == 8


def test_the_magnitudes_of_a_kohya_dora_are_those_of_peft(tmp_path):
    tensors = unpack(kohya(UNET)["images.safetensors"])
    magnitudes = np.arange(1, 7, dtype="<f4").tobytes()
    tensors[f"{UNET}.dora_scale"] = ("F32", (6, 1), magnitudes)
    folder, _ = made(tmp_path, {"images.safetensors": pack(tensors)}, "peft")
    assert json.loads((folder / CONFIG).read_text())["use_dora"] is True
    path = "base_model.model.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.lora_magnitude_vector"
    assert bits(folder / WEIGHTS)[path] == ("F32", (6,), magnitudes)
    tensors[f"{UNET}.dora_scale"] = ("F32", (1, 4), magnitudes[:16])
    with pytest.raises(Unconvertible, match="per column"):
        convert.convert(openers({"images.safetensors": pack(tensors)}), "peft")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (kohya("lora_unet_joint_blocks_0_x_block_attn_qkv"), "'joint_blocks_0_x_block_attn_qkv' in its name"),
        (kohya("lora_te3_encoder_block_0_layer_0_SelfAttention_q"), "it is for the T5"),
        (
            kohya("lora_unet_double_blocks_0_img_attn_qkv", part="diff_b"),
            "diff_b is not part of a plain LoRA: it changes a whole",
        ),
        (kohya(UNET, part="oft_blocks"), "it is OFT"),
        (kohya(UNET, "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"), "under two names"),
    ],
)
def test_names_that_are_not_known_and_other_methods_are_refused(files, reason):
    with pytest.raises(Unconvertible) as refusal:
        convert.convert(openers(files), "peft")
    assert reason in str(refusal.value)


# --- LyCORIS ---------------------------------------------------------------------------------------------------------
DICE = np.random.default_rng(7)
RESNET, IN, SAMPLER = "down_blocks_0_resnets_1_conv2", "mid_block_attentions_0_proj_in", "up_blocks_1_upsamplers_0_conv"


def product(method, outputs, inputs, kernel=(), rank=2, alpha=3.0):
    """Return the parts of a module of LyCORIS with random values, and the change that it is, flat."""
    columns = inputs * math.prod(kernel)

    def one(*shape):
        return DICE.normal(size=shape).astype("<f4")

    if method == "loha":
        parts = {f"hada_w{half}_{side}": one(*((outputs, rank) if side == "a" else (rank, columns)))
                 for half in (1, 2) for side in "ab"}  # fmt: skip
        change = (parts["hada_w1_a"] @ parts["hada_w1_b"]) * (parts["hada_w2_a"] @ parts["hada_w2_b"])
    elif method == "lokr":
        parts = {"lokr_w1": one(2, 2), "lokr_w2_a": one(outputs // 2, rank), "lokr_w2_b": one(rank, columns // 2)}
        change = np.kron(parts["lokr_w1"], parts["lokr_w2_a"] @ parts["lokr_w2_b"])
    else:
        parts = {
            "lokr_w1_a": one(4, rank),
            "lokr_w1_b": one(rank, 2),
            "lokr_w2": one(outputs // 4, inputs // 2, *kernel),
        }
        change = np.kron(parts["lokr_w1_a"] @ parts["lokr_w1_b"], parts["lokr_w2"].reshape(outputs // 4, -1))
    return {**parts, "alpha": np.array(alpha, "<f4")}, alpha / rank * change


def lycoris(modules, **beside):
    """Return a file of modules by name, each with its parts."""
    tensors = {f"{name}.{part}": ("F32", array.shape, array.tobytes())
               for name, parts in modules.items() for part, array in {**parts, **beside}.items()}  # fmt: skip
    return {"it.safetensors": pack(tensors)}


def change_of(folder, path):
    """Return what a module of a file in diffusers' names adds, flat, and the shape of its inner matrix."""
    found = bits(folder / "pytorch_lora_weights.safetensors")
    down, up = (np.frombuffer(raw, "<f4").reshape(shape) for _, shape, raw in
                (found[f"{path}.lora_A.weight"], found[f"{path}.lora_B.weight"]))  # fmt: skip
    return up.reshape(len(up), -1) @ down.reshape(len(down), -1), down.shape


@pytest.mark.parametrize("method", ["loha", "lokr", "lokr of two kinds"])
def test_products_of_lycoris_become_the_lora_that_adds_the_same(tmp_path, method):
    cases = {  # name in the file → path in diffusers, outputs, inputs, kernel
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k":
            ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", 8, 768, ()),
        f"lora_unet_{RESNET}": ("unet.down_blocks.0.resnets.1.conv2", 8, 4, (3, 3)),
        f"lora_unet_{IN}": ("unet.mid_block.attentions.0.proj_in", 16, 8, (1, 1)),
        f"lora_unet_{SAMPLER}": ("unet.up_blocks.1.upsamplers.0.conv", 8, 8, (3, 3)),
        "lora_te_text_model_encoder_layers_3_mlp_fc1": ("text_encoder.text_model.encoder.layers.3.mlp.fc1", 16, 4, ()),
    }  # fmt: skip
    made_of = {name: product(method, *sizes) for name, (_, *sizes) in cases.items()}
    files = lycoris({name: parts for name, (parts, _) in made_of.items()})
    folder, facts = made(tmp_path, files, "diffusers", settings=Settings(rank=64))
    assert facts["lost"] < 1e-6
    for name, (path, _, inputs, kernel) in cases.items():
        change, shape = change_of(folder, path)
        assert np.allclose(change, made_of[name][1], atol=1e-4), name
        assert shape[1:] == (inputs, *kernel), name
    small, facts = made(tmp_path, files, "diffusers", settings=Settings(rank=1))
    rest = {name: np.linalg.svd(change, compute_uv=False)[1:] for name, (_, change) in made_of.items()}
    for name, (path, *_) in cases.items():
        error = np.linalg.norm(change_of(small, path)[0] - made_of[name][1])
        assert math.isclose(error, np.linalg.norm(rest[name]), rel_tol=1e-4), name
    lost, whole = (math.sqrt(sum(np.linalg.norm(one) ** 2 for one in all_of_them))
                   for all_of_them in (rest.values(), (change for _, change in made_of.values())))  # fmt: skip
    assert math.isclose(facts["lost"], lost / whole, rel_tol=1e-4)
    kohyas, _ = made(tmp_path, files, "kohya", settings=Settings(rank=4))
    assert f"lora_unet_{RESNET}.lora_down.weight" in bits(kohyas / "pytorch_lora_weights.kohya.safetensors")


def test_a_lokr_of_flux_is_cut_into_q_k_and_v_and_a_dora_keeps_its_magnitudes(tmp_path):
    parts, change = product("lokr", 24, 8)
    files = lycoris({"diffusion_model.double_blocks.0.img_attn.qkv": parts})
    folder, _ = made(tmp_path, files, "diffusers", settings=Settings(rank=8))
    for number, letter in enumerate("qkv"):
        found, _ = change_of(folder, f"transformer.transformer_blocks.0.attn.to_{letter}")
        assert np.allclose(found, change[8 * number : 8 * number + 8], atol=1e-4)
    magnitudes = np.arange(1, 9, dtype="<f4").reshape(8, 1)
    parts, change = product("loha", 8, 6)
    files = lycoris({UNET: parts}, dora_scale=magnitudes)
    folder, _ = made(tmp_path, files, "peft", settings=Settings(rank=4))
    config = json.loads((folder / CONFIG).read_text())
    assert (config["use_dora"], config["r"], config["lora_alpha"]) == (True, 4, 4)


def test_products_that_do_not_fit_are_refused_by_name():
    def without(parts, part):
        return {name: array for name, array in parts.items() if name != part}

    loha, lokr = product("loha", 8, 6)[0], product("lokr", 8, 6)[0]
    odd = {**loha, "hada_w2_a": np.ones((7, 2), "<f4")}
    infinite = {**lokr, "lokr_w1": np.full((2, 2), np.inf, "<f4")}
    large = {"lokr_w1": np.ones((1500, 1), "<f4"), "lokr_w2": np.ones((1500, 1), "<f4")}
    cases = {
        "choose the rank": (UNET, loha, 0),
        "hada_w2_b is missing": (UNET, without(loha, "hada_w2_b"), 4),
        "lokr_w2_b is missing": (UNET, without(lokr, "lokr_w2_b"), 4),
        "do not match": (UNET, odd, 4),
        "is not finite": (UNET, infinite, 4),
        "too large": (UNET, large, 64),
        "not those of a kernel of 3 by 3": (f"lora_unet_{RESNET}", loha, 4),
        "name the base": (f"lora_unet_{IN}", loha, 4),
        "F32 (8,), not a matrix of floats": (UNET, {**loha, "hada_w1_a": np.ones(8, "<f4")}, 4),
        "not part of a plain LoRA": (UNET, {**loha, "diff_b": np.ones(8, "<f4")}, 4),
    }
    wrong = {}
    for reason, (name, parts, rank) in cases.items():
        with pytest.raises(Unconvertible) as refusal:
            convert.convert(openers(lycoris({name: parts})), "diffusers", settings=Settings(rank=rank))
        if reason not in str(refusal.value) or name not in str(refusal.value):
            wrong[reason] = str(refusal.value)
    assert not wrong
    for base, shape in (("org/sd-v1-5", (2, 6, 1, 1)), ("org/stable-diffusion-xl", (2, 6))):
        settings, files = Settings(rank=2), openers(lycoris({f"lora_unet_{IN}": loha}))
        [lora] = convert.read(files, base, settings)[1]
        assert [module.down.shape for module in lora.modules.values()] == [shape]


# --- variants --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("to", "dtype", "bound"), [("fp16", "F16", 2**-11), ("bf16", "BF16", 2**-8)])
def test_a_variant_in_another_precision_tells_its_largest_error(tmp_path, to, dtype, bound):
    folder, facts = made(tmp_path, PLAIN, to)
    own, narrow = unpack(PLAIN[WEIGHTS]), bits(folder / WEIGHTS)
    assert own.keys() == narrow.keys()
    errors = {}
    for name, (now, shape, raw) in narrow.items():
        assert (now, shape) == (dtype, own[name][1])
        wide = np.frombuffer(own[name][2], "<f4").astype(float)
        errors[name] = abs(values.widened(raw, now) - wide).max()
        assert (abs(values.widened(raw, now) - wide) <= bound * abs(wide) + 1e-7).all()
    assert facts["lossless"] is False
    assert (facts["tensor"], facts["largest_error"]) == max(errors.items(), key=lambda item: item[1])
    assert (folder / CONFIG).read_bytes() == PLAIN[CONFIG]
    with pytest.raises(Unconvertible, match="already"):
        convert.convert(files_in(folder), to)


def test_a_value_that_half_precision_cannot_hold_is_refused_by_name(tmp_path):
    name = next(name for name in unpack(PLAIN[WEIGHTS]) if "lora_B" in name)
    _, shape, raw = unpack(PLAIN[WEIGHTS])[name]
    large = np.frombuffer(raw, "<f4").copy()
    large[3] = 70_000
    files = changed(PLAIN, tensors={name: ("F32", shape, large.tobytes())})
    with pytest.raises(Unconvertible) as refusal:
        made(tmp_path, files, "fp16")
    assert str(refusal.value) == f"{name}: it has a value that F16 cannot represent."


TABLE = np.random.default_rng(0).normal(size=(40, 32)).astype("<f4")


def slimmed(tmp_path, table, base_table, dtype="F32", saved="embed_tokens", under=("",)):
    tensors = {f"base_model.model.model.{saved}{wrapper}.weight": (dtype, (40, 32), table) for wrapper in under}
    files = changed(PLAIN, tensors=tensors, modules_to_save=[saved])
    base = {"model.safetensors": pack({"model.embed_tokens.weight": ("F32", (40, 32), base_table)})}
    return made(tmp_path, files, "slim", base_files=openers(base))[0]


def test_the_slim_variant_leaves_out_what_equals_the_base_bit_for_bit(tmp_path):
    folder = slimmed(tmp_path, TABLE.tobytes(), TABLE.tobytes())
    assert bits(folder / WEIGHTS) == unpack(PLAIN[WEIGHTS])
    assert json.loads((folder / CONFIG).read_text())["modules_to_save"] is None
    narrow = values.converted(TABLE.tobytes(), "F32", "BF16")
    wide = values.widened(narrow, "BF16").tobytes()
    assert bits(slimmed(tmp_path, narrow, wide, dtype="BF16") / WEIGHTS) == unpack(PLAIN[WEIGHTS])
    thrice = ("", ".modules_to_save", ".original_module")  # as PEFT writes it with save_embedding_layers
    assert bits(slimmed(tmp_path, narrow, wide, dtype="BF16", under=thrice) / WEIGHTS) == unpack(PLAIN[WEIGHTS])


def test_a_table_with_one_other_bit_stays_and_the_variant_is_refused(tmp_path):
    other = bytearray(TABLE.tobytes())
    other[700] ^= 1
    with pytest.raises(Unconvertible, match="it differs from that of the base"):
        slimmed(tmp_path, bytes(other), TABLE.tobytes())
    with pytest.raises(Unconvertible, match="no whole embedding"):
        convert.convert(openers(PLAIN), "slim", base_files=openers({"model.safetensors": PLAIN[WEIGHTS]}))


def zeros(*shape: int) -> Lazy:
    return Lazy("F32", shape, lambda: iter([bytes(4 * math.prod(shape))]))


def test_matrices_of_loralib_that_are_no_pair_are_refused_whatever_their_shapes():
    """Of many parts each would widen all rows: eight megabytes would be written as terabytes."""
    shapes = (((8, 16), ()), ((), (16, 8)), ((0, 16), (16, 8)), ((8, 16), (16, 0)), ((8, 16), (16,)), ((9, 1), (9, 1)))
    for down, up in shapes:
        tensors = {"roberta.query.lora_A": zeros(*down), "roberta.query.lora_B": zeros(*up)}
        with pytest.raises(Unconvertible, match="do not match"):
            loralib.read(tensors, "", Settings(alpha=8))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_change_that_is_not_finite_is_no_lora(value):
    change = np.eye(4, dtype=np.float32)
    change[1, 2] = value
    tensors = {"base_model.model.layer.lora_A.weight": zeros(2, 4), "base_model.model.layer.lora_B.weight": zeros(4, 2)}
    config = {"peft_type": "LORA", "base_model_name_or_path": "a/base"}
    with pytest.raises(Unconvertible, match="not finite"):
        by_rank.read(tensors, config, {"layer.weight": zeros(4, 4)}, {}, 2, lambda *_: iter([("layer", change)]))
