"""Converts LoRAs of image models from the names of every trainer, and has diffusers load what came out.

The modules are all that the real models have, of narrow copies with random weights. Run by an engine's interpreter with
diffusers on its path; prints one line for each proof.
"""

import copy
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders import lora_pipeline
from diffusers.utils import logging
from safetensors import safe_open
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]

from dovetail.adapters.convert import convert
from dovetail.adapters.readers.folder import files_in
from features.measured.engine.pipelines import PIPELINES

warnings.simplefilter("ignore")
logging.set_verbosity_error()
torch.set_num_threads(1)
RANK = 4
Tensors = dict[str, torch.Tensor]
Layers = dict[str, tuple[Any, ...]]  # path of a module → the shape of its weight


def saved(tensors: Tensors, folder: Path) -> Path:
    folder.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "source.safetensors")
    return folder


def converted(folder: Path, to: str, **options: Any) -> Path:
    made = folder.with_name(f"{folder.name}-{to}")
    convert(files_in(folder), to, **options).write(made)
    return made


def weights(folder: Path) -> Path:
    return next(folder.glob("*.safetensors"))


def layers_of(model: torch.nn.Module) -> Layers:
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    return {path: tuple(module.weight.shape) for path, module in model.named_modules() if isinstance(module, kinds)}


def pair(shape: tuple[int, ...], rank: int, dice: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    down = torch.randn(rank, *shape[1:], generator=dice)
    return down, torch.randn(shape[0], rank, *(1 for _ in shape[2:]), generator=dice)


def product(down: torch.Tensor, up: torch.Tensor, scale: float) -> torch.Tensor:
    return scale * (up.flatten(1) @ down.flatten(1))


def kohya(layers: Layers, name: Callable[[str], str], *, is_equal: bool = False) -> tuple[Tensors, Tensors]:
    """Return a file with an alpha for each module, and what each module adds to its weight."""
    dice = torch.Generator().manual_seed(1)
    tensors, deltas = {}, {}
    for number, (path, shape) in enumerate(sorted(layers.items())):
        down, up = pair(shape, RANK, dice)
        alpha = 2.0 if is_equal else 1.0 + number % 7
        key = name(path)
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(alpha)}
        deltas[path] = product(down, up, alpha / RANK)
    assert len(tensors) == 3 * len(layers), "two modules have one name"
    return tensors, deltas


def loaded(pipeline: str, models: dict[str, Any], tensors: Tensors | str) -> dict[str, Tensors]:
    """Return what each module of each model gets, as diffusers loads a file."""
    parts = copy.deepcopy(models)
    loader = getattr(lora_pipeline, PIPELINES[pipeline].loader)
    standing = type("Standing", (loader,), {"hf_device_map": None, "components": parts})()
    for place, model in parts.items():
        setattr(standing, place, model)
    standing.load_lora_weights(tensors, adapter_name="it")
    return {
        place: {
            path: product(module.lora_A["it"].weight.data, module.lora_B["it"].weight.data, module.scaling["it"])
            for path, module in model.named_modules() if "it" in (getattr(module, "lora_A", None) or ())
        }
        for place, model in parts.items()
    }  # fmt: skip


def same(found: Tensors, expected: Tensors, what: str) -> None:
    assert found.keys() == expected.keys(), (what, sorted(found.keys() ^ expected.keys())[:6])
    for path, delta in expected.items():
        assert torch.allclose(found[path], delta, atol=1e-4, rtol=1e-4), (what, path)


def plain(path: str) -> str:
    """Return a path in CLIP's text encoder with the level that kohya's names have."""
    return path if path.startswith(("text_model.", "text_projection")) else f"text_model.{path}"


def without_level(deltas: Tensors) -> Tensors:
    return {path.removeprefix("text_model."): delta for path, delta in deltas.items()}


# --- Stable Diffusion ------------------------------------------------------------------------------------------------
# The original code's lists, written out as sd-scripts has them: entry → kind and number of blocks there.
SGM_RESNET = {"conv1": "in_layers_2", "conv2": "out_layers_3", "time_emb_proj": "emb_layers_1",
              "conv_shortcut": "skip_connection"}  # fmt: skip
SGM_TOPS = {"conv_in": "input_blocks_0_0", "conv_out": "out_2", "time_embedding.linear_1": "time_embed_0",
            "time_embedding.linear_2": "time_embed_2", "add_embedding.linear_1": "label_emb_0_0",
            "add_embedding.linear_2": "label_emb_0_2"}  # fmt: skip
SGM = {
    "down_blocks.0.resnets.0": "input_blocks_1_0", "down_blocks.0.resnets.1": "input_blocks_2_0",
    "down_blocks.0.downsamplers.0.conv": "input_blocks_3_0_op",
    "down_blocks.1.resnets.0": "input_blocks_4_0", "down_blocks.1.attentions.0": "input_blocks_4_1",
    "down_blocks.1.resnets.1": "input_blocks_5_0", "down_blocks.1.attentions.1": "input_blocks_5_1",
    "down_blocks.1.downsamplers.0.conv": "input_blocks_6_0_op",
    "down_blocks.2.resnets.0": "input_blocks_7_0", "down_blocks.2.attentions.0": "input_blocks_7_1",
    "down_blocks.2.resnets.1": "input_blocks_8_0", "down_blocks.2.attentions.1": "input_blocks_8_1",
    "mid_block.resnets.0": "middle_block_0", "mid_block.attentions.0": "middle_block_1",
    "mid_block.resnets.1": "middle_block_2",
    "up_blocks.0.resnets.0": "output_blocks_0_0", "up_blocks.0.attentions.0": "output_blocks_0_1",
    "up_blocks.0.resnets.1": "output_blocks_1_0", "up_blocks.0.attentions.1": "output_blocks_1_1",
    "up_blocks.0.resnets.2": "output_blocks_2_0", "up_blocks.0.attentions.2": "output_blocks_2_1",
    "up_blocks.0.upsamplers.0.conv": "output_blocks_2_2_conv",
    "up_blocks.1.resnets.0": "output_blocks_3_0", "up_blocks.1.attentions.0": "output_blocks_3_1",
    "up_blocks.1.resnets.1": "output_blocks_4_0", "up_blocks.1.attentions.1": "output_blocks_4_1",
    "up_blocks.1.resnets.2": "output_blocks_5_0", "up_blocks.1.attentions.2": "output_blocks_5_1",
    "up_blocks.1.upsamplers.0.conv": "output_blocks_5_2_conv",
    "up_blocks.2.resnets.0": "output_blocks_6_0", "up_blocks.2.resnets.1": "output_blocks_7_0",
    "up_blocks.2.resnets.2": "output_blocks_8_0",
}  # fmt: skip


def sgm(path: str) -> str:
    """Return what sd-scripts calls a module of Stable Diffusion XL's UNet."""
    if path in SGM_TOPS:
        return f"lora_unet_{SGM_TOPS[path]}"
    start = next(start for start in sorted(SGM, key=len, reverse=True) if f"{path}.".startswith(f"{start}."))
    leaf = path.removeprefix(start).removeprefix(".")
    flat = SGM_RESNET.get(leaf, leaf.replace(".", "_")) if ".resnets." in start else leaf.replace(".", "_")
    return f"lora_unet_{SGM[start]}_{flat}".removesuffix("_")


def flat(prefix: str) -> Callable[[str], str]:
    return lambda path: prefix + path.replace(".", "_")


def prove_stable_diffusion(folder: Path) -> None:
    """Where alphas are unlike, diffusers 0.42 itself gives attention another module's."""
    for pipeline, of_unet, prefixes, is_equal in (
        ("StableDiffusionXLPipeline", sgm, ("lora_te1_", "lora_te2_"), True),
        ("StableDiffusionXLPipeline", sgm, ("lora_te1_", "lora_te2_"), False),
        ("StableDiffusionPipeline", flat("lora_unet_"), ("lora_te_",), False),
    ):
        models = {place: model.made(narrow=True) for place, model in PIPELINES[pipeline].models.items()}
        source, deltas = kohya(layers_of(models["unet"]), of_unet, is_equal=is_equal)
        expected = {"unet": deltas}
        for prefix, place in zip(prefixes, ("text_encoder", "text_encoder_2"), strict=False):
            layers = {
                plain(path): shape for path, shape in layers_of(models[place]).items() if "projection" not in path
            }
            text, expected[place] = kohya(layers, flat(prefix), is_equal=is_equal)
            source |= text
        home = saved(source, folder / f"{pipeline}{is_equal}")
        ours = converted(home, "diffusers")
        for made, whose in ((ours, "ours"), (home, "diffusers' own"))[: 1 + is_equal]:
            found = loaded(pipeline, models, str(weights(made)))
            for place, wanted in expected.items():
                same(without_level(found[place]), without_level(wanted), f"{whose}: {pipeline} {place}")
        unchanged(converted(ours, "kohya"), source)
    print("stable diffusion")


def unchanged(folder: Path, source: Tensors) -> None:
    back = load_file(weights(folder))
    assert back.keys() == source.keys(), sorted(back.keys() ^ source.keys())[:6]
    assert all(torch.equal(back[name], source[name]) for name in source)


# --- Flux, Flux.2 and Wan --------------------------------------------------------------------------------------------
# A module of the original code → the modules of diffusers that it is, with the share of its rows that each has.
def flux(width: int) -> dict[str, list[tuple[str, int]]]:
    def stream(own: str, names: str, out: str, feed: str, norm: str) -> dict[str, list[tuple[str, int]]]:
        return {
            f"double_blocks.0.{own}_attn.qkv": [(f"transformer_blocks.0.attn.{name}", width) for name in names.split()],
            f"double_blocks.0.{own}_attn.proj": [(f"transformer_blocks.0.attn.{out}", width)],
            f"double_blocks.0.{own}_mlp.0": [(f"transformer_blocks.0.{feed}.net.0.proj", 4 * width)],
            f"double_blocks.0.{own}_mlp.2": [(f"transformer_blocks.0.{feed}.net.2", width)],
            f"double_blocks.0.{own}_mod.lin": [(f"transformer_blocks.0.{norm}.linear", 6 * width)],
        }

    single = "single_transformer_blocks.1"
    return {
        **stream("img", "to_q to_k to_v", "to_out.0", "ff", "norm1"),
        **stream("txt", "add_q_proj add_k_proj add_v_proj", "to_add_out", "ff_context", "norm1_context"),
        "single_blocks.1.linear1": [
            (f"{single}.attn.to_q", width), (f"{single}.attn.to_k", width), (f"{single}.attn.to_v", width),
            (f"{single}.proj_mlp", 4 * width),
        ],
        "single_blocks.1.linear2": [(f"{single}.proj_out", width)],
        "single_blocks.1.modulation.lin": [(f"{single}.norm.linear", 3 * width)],
    }  # fmt: skip


def every_block(modules: dict[str, Any], double: int, single: int) -> dict[str, Any]:
    """Return the same for all blocks of a model."""

    def numbered(path: str, number: int) -> str:
        return path.replace("blocks.0.", f"blocks.{number}.").replace("blocks.1.", f"blocks.{number}.")

    return {
        numbered(path, number): [(numbered(own, number), rows) for own, rows in paths]
        for path, paths in modules.items() for number in range(single if path.startswith("single") else double)
    }  # fmt: skip


def stacked(modules: dict[str, Any], layers: Layers, name: Callable[[str], str], ends: tuple[str, str],
            *, alpha: float = 0, rank: int = 12) -> tuple[Tensors, Tensors]:  # fmt: skip
    """Return a file that has one pair for each original module, and what each module of diffusers gets of it."""
    dice = torch.Generator().manual_seed(2)
    tensors, deltas = {}, {}
    for path, parts in modules.items():
        down, up = pair((sum(rows for _, rows in parts), layers[parts[0][0]][1]), rank, dice)
        tensors |= {name(path) + ends[0]: down, name(path) + ends[1]: up}
        tensors |= {f"{name(path)}.alpha": torch.tensor(alpha)} if alpha else {}
        for (own, _), rows in zip(parts, up.split([rows for _, rows in parts]), strict=True):
            assert layers[own] == (len(rows), down.shape[1]), own
            deltas[own] = product(down, rows, alpha / rank if alpha else 1.0)
    return tensors, deltas


PEFT, KOHYA = (".lora_A.weight", ".lora_B.weight"), (".lora_down.weight", ".lora_up.weight")


def prove_flux(folder: Path) -> None:
    models = {place: model.made(narrow=True) for place, model in PIPELINES["FluxPipeline"].models.items()}
    layers = layers_of(models["transformer"])
    modules = every_block(flux(64), 19, 38)
    texts = {plain(path): shape for path, shape in layers_of(models["text_encoder"]).items()}
    text, of_text = kohya(texts, flat("lora_te1_"))
    for number, (name, ends, alpha) in enumerate((
        (flat("lora_unet_"), KOHYA, 3.0), ("diffusion_model.{}".format, PEFT, 0.0),
        ("diffusion_model.{}".format, KOHYA, 5.0), (str, PEFT, 0.0), ("transformer.{}".format, PEFT, 0.0),
    )):  # fmt: skip
        source, expected = stacked(modules, layers, name, ends, alpha=alpha)
        source |= text if number == 0 else {}
        ours = converted(saved(source, folder / f"flux{number}"), "diffusers")
        found = loaded("FluxPipeline", models, str(weights(ours)))
        same(found["transformer"], expected, f"flux {number}")
        same(without_level(found["text_encoder"]), without_level(of_text) if number == 0 else {}, f"flux text {number}")
        back = converted(ours, "kohya")
        if number == 0:
            unchanged(back, source)
        same(
            loaded("FluxPipeline", models, str(weights(converted(back, "diffusers"))))["transformer"], expected, "back"
        )
    print("flux")


def effects(tensors: Tensors) -> Tensors:
    """Return what each module of a file in PEFT's names, all of scale 1, does to two random inputs."""
    found = {}
    for name, down in tensors.items():
        if name.endswith(PEFT[0]):
            path = name.removesuffix(PEFT[0])
            inputs = torch.randn(down.shape[1], 2, generator=torch.Generator().manual_seed(3))
            found[path] = tensors[path + PEFT[1]] @ (down @ inputs) / down.shape[1]
    return found


def scaled(folder: Path) -> Tensors:
    """Return the tensors of a file of ours, with its scales in them."""
    tensors = load_file(weights(folder))
    with safe_open(weights(folder), "pt") as file:
        told = json.loads(file.metadata()["lora_adapter_metadata"])
    for name in tensors:
        if name.endswith(PEFT[1]):
            place, _, path = name.removesuffix(PEFT[1]).partition(".")
            rank, alpha = (told[f"{place}.{kind}_pattern"].get(path, told[f"{place}.{key}"])
                           for kind, key in (("rank", "r"), ("alpha", "lora_alpha")))  # fmt: skip
            assert rank == tensors[name].shape[1]
            tensors[name] = tensors[name] * (alpha / rank)
    return tensors


def prove_own_converters(folder: Path) -> None:
    """Compare with diffusers' own converters, at the real widths that they know alone."""
    dice = torch.Generator().manual_seed(4)

    def made(modules: dict[str, tuple[int, int]], name: Callable[[str], str], ends: tuple[str, str], alpha: float = 0.0,
             rank: int = 4) -> Tensors:  # fmt: skip
        tensors: Tensors = {}
        for path, (inputs, outputs) in modules.items():
            down, up = pair((outputs, inputs), rank, dice)
            tensors |= {name(path) + ends[0]: down, name(path) + ends[1]: up}
            tensors |= {f"{name(path)}.alpha": torch.tensor(alpha)} if alpha else {}
        return tensors

    def flux_sizes(width: int) -> dict[str, tuple[int, int]]:
        sizes = {path: sum(rows for _, rows in parts) for path, parts in flux(width).items()}
        wide = {"mlp.2": 4 * width, "linear2": 5 * width}
        return {path: (next((size for end, size in wide.items() if path.endswith(end)), width), rows)
                for path, rows in sizes.items()}  # fmt: skip

    # Each original module has its own rows of the rank, as ai-toolkit stacks what it trained apart.
    apart = made(flux_sizes(3072), flat("lora_unet_"), KOHYA, 6.0, rank=12)
    for name in [name for name in apart if name.endswith(("qkv.lora_up.weight", "linear1.lora_up.weight"))]:
        up = apart[name]
        ends = [3072, 3072, 3072, *([12288] if "linear1" in name else [])]
        blocks, share = up.split(ends), 12 // len(ends)
        apart[name] = torch.block_diag(*(block[:, :share] for block in blocks))
    final = {"final_layer.linear": (64, 64), "final_layer.adaLN_modulation.1": (64, 128), "img_in": (64, 64),
             "txt_in": (64, 64), "time_in.in_layer": (32, 64), "time_in.out_layer": (64, 64),
             "guidance_in.in_layer": (32, 64), "vector_in.out_layer": (64, 64)}  # fmt: skip
    xlabs = {f"double_blocks.0.processor.{kind}_lora{number}": (3072, 9216 if kind == "qkv" else 3072)
             for kind in ("qkv", "proj") for number in (1, 2)}  # fmt: skip
    flux2 = {
        "double_blocks.0.img_attn.qkv": (64, 192), "double_blocks.0.txt_attn.qkv": (64, 192),
        "double_blocks.0.img_attn.proj": (64, 64), "double_blocks.0.txt_attn.proj": (64, 64),
        "double_blocks.0.img_mlp.0": (64, 384), "double_blocks.0.img_mlp.2": (192, 64),
        "double_blocks.0.txt_mlp.0": (64, 384), "double_blocks.0.txt_mlp.2": (192, 64),
        "single_blocks.1.linear1": (64, 576), "single_blocks.1.linear2": (256, 64),
        "single_stream_modulation.lin": (64, 192), "double_stream_modulation_img.lin": (64, 384), "img_in": (32, 64),
        "time_in.in_layer": (32, 64), "guidance_in.out_layer": (64, 64),
    }  # fmt: skip
    of_blocks = {path: size for path, size in flux2.items() if "blocks" in path}  # of others diffusers drops kohya's
    wan = {f"blocks.{layer}.{own}_attn.{letter}": (64, 64) for layer in range(2) for own in ("self", "cross")
           for letter in "qkvo"}  # fmt: skip
    wan |= {f"blocks.{layer}.ffn.{end}": size for layer in range(2) for end, size in ((0, (64, 128)), (2, (128, 64)))}
    image_to_video = {f"blocks.0.cross_attn.{letter}_img": (64, 64) for letter in "kv"}
    dotted = "diffusion_model.{}".format
    cases = {
        "kohya": (lora_pipeline.FluxLoraLoaderMixin, made(flux_sizes(3072), flat("lora_unet_"), KOHYA, 3.0)),
        "kohya, apart": (lora_pipeline.FluxLoraLoaderMixin, apart),
        "kohya, the ends": (lora_pipeline.FluxLoraLoaderMixin, made(final, flat("lora_unet_"), KOHYA, 4.0)),
        "xlabs": (lora_pipeline.FluxLoraLoaderMixin, made(xlabs, str, (".down.weight", ".up.weight"))),
        "flux 2": (lora_pipeline.Flux2LoraLoaderMixin, made(flux2, dotted, PEFT)),
        "kohya flux 2": (lora_pipeline.Flux2LoraLoaderMixin, made(of_blocks, flat("lora_unet_"), KOHYA, 2.0)),
        "wan": (lora_pipeline.WanLoraLoaderMixin, made(wan | image_to_video, dotted, PEFT)),
        "kohya wan": (lora_pipeline.WanLoraLoaderMixin, made(wan, flat("lora_unet_"), KOHYA, 2.0)),
    }  # fmt: skip
    for what, (loader, source) in cases.items():
        home = saved(source, folder / what)
        base = {"flux 2": "org/flux.2-dev", "wan": "org/Wan2.1"}.get(what.removeprefix("kohya "), "org/FLUX.1-dev")
        ours = scaled(converted(home, "diffusers", base=base))
        theirs = {
            name if name.startswith("transformer.") else f"transformer.{name}": tensor
            for name, tensor in loader.lora_state_dict(str(weights(home))).items()
        }
        same(effects(ours), effects(theirs), what)
        if what == "kohya, apart":
            assert {name: tensor.shape for name, tensor in ours.items()} == {
                name: tensor.shape for name, tensor in theirs.items()
            }
        if what.startswith("kohya"):
            unchanged(converted(home.with_name(f"{what}-diffusers"), "kohya"), source)
    print("own converters")


if __name__ == "__main__":
    for prove in (prove_stable_diffusion, prove_flux, prove_own_converters):
        prove(Path(sys.argv[1]))
