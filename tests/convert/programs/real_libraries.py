"""Converts and merges adapters that PEFT trained, and has each result read by the library that it is for.

Run by an engine's interpreter with diffusers, mlx-lm and gguf on its path; prints one line for each proof.
"""

import math
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from gguf import GGUFReader
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import merge_utils
from safetensors.numpy import load_file
from transformers import LlamaConfig, LlamaForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "client" / "src"))

from dovetail.adapters.convert import convert
from dovetail.adapters.merge import Recipe, Source, arithmetic, merge
from dovetail.adapters.readers.folder import files_in

warnings.simplefilter("ignore")
torch.set_num_threads(1)
WEIGHTS = "adapter_model.safetensors"
TOKENS = torch.tensor([[1, 5, 9, 2, 7, 30]])
HEADS, KEY_HEADS = 4, 2


def converted(folder: Path, to: str, **options) -> Path:
    target = folder.with_name(f"{folder.name}-{to}")
    convert(files_in(folder), to, **options).write(target)
    return target


def base() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=HEADS,
            num_key_value_heads=KEY_HEADS, initializer_range=0.3, tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip


def trained(model, folder: Path, seed: int, **config) -> Path:
    torch.manual_seed(seed)
    adapted = get_peft_model(model, LoraConfig(init_lora_weights=False, **config))
    for name, parameter in adapted.named_parameters():
        if "lora_magnitude" in name:
            parameter.data *= 1.1
    adapted.peft_config["default"].base_model_name_or_path = "tiny/base"
    adapted.save_pretrained(folder)
    return folder


def logits(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        return PeftModel.from_pretrained(base(), folder).eval()(TOKENS).logits[0]


def same_tensors(one: Path, other: Path) -> bool:
    left, right = load_file(one), load_file(other)
    return left.keys() == right.keys() and all(left[name].tobytes() == right[name].tobytes() for name in left)


# --- mlx-lm ----------------------------------------------------------------------------------------------------------
def by_mlx(folder: Path) -> torch.Tensor:
    import mlx.core as mx
    from mlx_lm.models import llama
    from mlx_lm.tuner.utils import load_adapters

    own = base()
    model = llama.Model(
        llama.ModelArgs(
            model_type="llama", hidden_size=32, num_hidden_layers=2, intermediate_size=48, num_attention_heads=HEADS,
            num_key_value_heads=KEY_HEADS, rms_norm_eps=own.config.rms_norm_eps, vocab_size=64,
            tie_word_embeddings=False,
        )
    )  # fmt: skip
    model.load_weights([(name, mx.array(value.numpy())) for name, value in own.state_dict().items()])
    model = load_adapters(model, str(folder))
    model.eval()
    return torch.tensor(np.array(model(mx.array(TOKENS.numpy())))[0])


def prove_mlx(folder: Path) -> None:
    all_layers = {"target_modules": ["q_proj", "down_proj"], "r": 4, "lora_alpha": 7}
    some = {**all_layers, "layers_to_transform": [1], "use_rslora": True}
    for number, config in enumerate((all_layers, some, {**all_layers, "use_dora": True})):
        peft = trained(base(), folder / f"mlx{number}", number, task_type="CAUSAL_LM", **config)
        mlx = converted(peft, "mlx")
        distance = (by_mlx(mlx) - logits(peft)).abs().max().item()
        assert distance < 2e-4, distance
        assert (logits(peft) - base()(TOKENS).logits[0]).abs().max() > 0.05
        back = converted(mlx, "peft")
        assert same_tensors(peft / WEIGHTS, back / WEIGHTS)
        assert torch.equal(logits(back), logits(peft))
    print("mlx")


# --- GGUF ------------------------------------------------------------------------------------------------------------
def prove_gguf(folder: Path) -> None:
    peft = trained(base(), folder / "gguf", 5, target_modules=["q_proj", "k_proj", "v_proj", "up_proj"], r=4,
                   lora_alpha=8, use_rslora=True, task_type="CAUSAL_LM")  # fmt: skip
    base().config.save_pretrained(folder / "gguf-base")
    made = converted(peft, "gguf", base_files=files_in(folder / "gguf-base"))
    reader = GGUFReader(made / "adapter.gguf")
    facts = {name: field.contents() for name, field in reader.fields.items()}
    assert (facts["general.type"], facts["adapter.type"]) == ("adapter", "lora")
    assert (facts["general.architecture"], facts["adapter.lora.alpha"]) == ("llama", 8 * math.sqrt(4))
    tensors = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    saved = load_file(peft / WEIGHTS)
    assert len(tensors) == len(saved) == 16
    for name, (path, heads) in {
        "attn_q": ("self_attn.q_proj", HEADS), "attn_k": ("self_attn.k_proj", KEY_HEADS),
        "attn_v": ("self_attn.v_proj", 0), "ffn_up": ("mlp.up_proj", 0),
    }.items():  # fmt: skip
        a, b = (saved[f"base_model.model.model.layers.1.{path}.lora_{side}.weight"] for side in "AB")
        if heads:  # as llama.cpp's converter turns the rows of q and k
            b = b.reshape(heads, 2, b.shape[0] // heads // 2, b.shape[1]).swapaxes(1, 2).reshape(b.shape)
        assert tensors[f"blk.1.{name}.weight.lora_a"].tobytes() == a.tobytes()
        assert tensors[f"blk.1.{name}.weight.lora_b"].tobytes() == b.tobytes()
    print("gguf")


# --- diffusers and kohya ---------------------------------------------------------------------------------------------
def unet() -> UNet2DConditionModel:
    torch.manual_seed(1)
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=16,
        attention_head_dim=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()  # fmt: skip


def image(model) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    sample, words = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 3, 16, generator=generator)
    with torch.no_grad():
        return model(sample, 10, words).sample


def loaded_by_diffusers(file: Path) -> torch.Tensor:
    tensors, alphas, metadata = StableDiffusionPipeline.lora_state_dict(
        str(file), unet_config=unet().config, return_lora_metadata=True
    )
    model = unet()
    StableDiffusionPipeline.load_lora_into_unet(tensors, alphas, model, adapter_name="default", metadata=metadata)
    return image(model)


def prove_diffusers(folder: Path) -> None:
    targets = ["to_q", "to_out.0", "conv1", "proj_in", "ff.net.0.proj"]
    peft = trained(unet(), folder / "unet", 2, target_modules=targets, r=4, lora_alpha=6,
                   rank_pattern={"to_q": 2}, alpha_pattern={"conv1": 3})  # fmt: skip
    expected = image(PeftModel.from_pretrained(unet(), peft))
    assert (expected - image(unet())).abs().max() > 0.01
    diffusers, kohya = converted(peft, "diffusers"), converted(peft, "kohya")
    for made in (diffusers, kohya, converted(kohya, "diffusers"), converted(diffusers, "kohya")):
        (file,) = made.glob("*.safetensors")
        assert (loaded_by_diffusers(file) - expected).abs().max() < 1e-5, made.name
        back = converted(made, "peft")
        assert same_tensors(peft / WEIGHTS, back / WEIGHTS)
        assert torch.equal(image(PeftModel.from_pretrained(unet(), back)), expected)
    print("diffusers kohya")


# --- merges ----------------------------------------------------------------------------------------------------------
MERGES = (
    ("linear", "linear", {}, {}),
    ("cat", "cat", {}, {}),
    ("svd", "svd", {"rank": 3}, {"svd_rank": 3}),
    ("ties", "ties", {"density": 0.6}, {"density": 0.6}),
    ("dare_linear", "dare_linear", {"density": 0.5, "seed": 7}, {"density": 0.5}),
    ("dare_ties", "dare_ties", {"density": 0.5, "seed": 7}, {"density": 0.5}),
)


def dropping_as_we_do(names: list[str], sources: int, density: float, seed: int):
    """Return what PEFT calls to drop values, with our choice of them; PEFT asks for A, then B, of each module."""
    import zlib

    asked = iter([(seed, zlib.crc32(f"{name}.{side}".encode()), number)
                  for name in names for side in ("down", "up") for number in range(sources)])  # fmt: skip

    def prune(tensor, density, rescale):
        kept = torch.from_numpy(arithmetic.chosen(next(asked), tuple(tensor.shape), density))
        return tensor * kept / density if rescale else tensor * kept

    return prune


def prove_merges(folder: Path) -> None:
    common = {"task_type": "CAUSAL_LM", "r": 4}
    one = trained(base(), folder / "one", 11, target_modules=["q_proj", "v_proj"], lora_alpha=8, **common)
    two = trained(base(), folder / "two", 12, target_modules=["v_proj", "q_proj"], lora_alpha=2, **common)
    weights = [0.7, -0.4]
    random_pruning = merge_utils.random_pruning
    for method, theirs, ours_options, their_options in MERGES:
        made = folder / f"merged-{method}"
        sources = [Source(path.name, files_in(path), weight) for path, weight in zip((one, two), weights, strict=True)]
        merge(sources, Recipe(method, **ours_options)).write(made)
        model = PeftModel.from_pretrained(base(), one, adapter_name="one")
        model.load_adapter(two, "two")
        paths = [name.removeprefix("base_model.model.") for name, module in model.named_modules()
                 if hasattr(module, "lora_A") and hasattr(module, "scaling")]  # fmt: skip
        if "seed" in ours_options:
            merge_utils.random_pruning = dropping_as_we_do(paths, 2, 0.5, 7)
        model.add_weighted_adapter(["one", "two"], weights, "both", combination_type=theirs, **their_options)
        merge_utils.random_pruning = random_pruning
        model.set_adapter("both")
        with torch.no_grad():
            expected = model.eval()(TOKENS).logits[0]
        assert (logits(made) - expected).abs().max() < 1e-4, method
        saved = load_file(made / WEIGHTS)
        if method != "svd":  # whose signs are free
            for path in paths:
                module = model.base_model.model.get_submodule(path)
                for side in "AB":
                    own = saved[f"base_model.model.{path}.lora_{side}.weight"]
                    assert np.allclose(
                        own, getattr(module, f"lora_{side}")["both"].weight.detach().numpy(), atol=1e-6
                    ), method
        assert (expected - base()(TOKENS).logits[0]).abs().max() > 0.01
    print("merges")


if __name__ == "__main__":
    for prove in (prove_mlx, prove_gguf, prove_diffusers, prove_merges):
        prove(Path(sys.argv[1]))
