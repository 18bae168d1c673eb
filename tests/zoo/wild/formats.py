"""Formats that no engine here runs, and files that are no adapter: recognised as what they are, and told so."""

import json
from collections.abc import Iterator

from tests.adapters import pack
from tests.zoo.changes import Change, all_of, drop, file
from tests.zoo.wild import images, others
from tests.zoo.wild.images import FLUX_DEV, SD15, SDXL, image_card, kohya, notes, stripped, weights
from tests.zoo.wild.row import NONE, TRAINED, UNLICENSED, Row
from tests.zoo.wild.tools import front, hf_trainer_card

# fmt: off
# Tables: one repository a line.

SGM_NAMES = images.unet(images.SGM) + images.encoder("1") + images.encoder("2")
XL = notes("sdxl_base_v1-0", "stable-diffusion-xl-v1-base/lora")
FLUX_NOTES = notes("flux1", "flux-1-dev/lora", "networks.lora_flux", ss_network_args='{"train_blocks": "all"}')


def of_images(
    name: str,
    change: Change,
    family: str,
    kind: str = "lora",
    warns: tuple[str, ...] = (),
    base: str = "",
    **more: str,
) -> Row:
    return Row(name, "", change, warns=warns, base=base, facts={"format": family, "kind": kind, "depth": "static"}, **more)


def of_kohya() -> Iterator[Row]:
    noted = (TRAINED,)
    v1 = notes("sd_v1", "stable-diffusion-v1/lora")
    yield of_images("sd-scripts, SD 1.5", all_of(weights(kohya(*images.unet(), *images.encoder()), v1), image_card(SD15)), "kohya", warns=noted)
    yield of_images("sd-scripts, SD 1.5, stripped", all_of(weights(kohya(*images.unet()), stripped(v1)), image_card(SD15)), "kohya")
    yield of_images("sd-scripts, SDXL", all_of(weights(kohya(*SGM_NAMES), XL), image_card(SDXL)), "kohya", warns=noted)
    yield of_images("sd-scripts, SDXL, without notes", all_of(weights(kohya(*SGM_NAMES)), image_card(SDXL)), "kohya")
    yield of_images("sd-scripts, an Illustrious model", all_of(weights(kohya(*SGM_NAMES), stripped(XL)), image_card("OnomaAIResearch/Illustrious-xl-early-release-v0")), "kohya")
    yield of_images("sd-scripts, a Pony model", all_of(weights(kohya(*SGM_NAMES), stripped(XL)), image_card("AstraliteHeart/pony-diffusion-v6")), "kohya")
    yield of_images("sd-scripts, Flux", all_of(weights(kohya(*images.unet(images.FLUX), *images.encoder("1")), FLUX_NOTES), image_card(FLUX_DEV, license="other")), "kohya", warns=noted)
    yield of_images("sd-scripts, SD 3", all_of(weights(kohya(*[f"lora_unet_joint_blocks_{n}_x_block_attn_qkv" for n in (0, 1)]), stripped(notes("sd3_m", "stable-diffusion-3-medium/lora", "networks.lora_sd3"))), image_card("stabilityai/stable-diffusion-3-medium-diffusers")), "kohya")
    yield of_images("sd-scripts, a file for each epoch", all_of(*[weights(kohya(*images.unet()), stripped(v1), f"mychar-{epoch:06d}.safetensors") for epoch in (2, 4)], weights(kohya(*images.unet()), stripped(v1)), image_card(SD15)), "kohya", warns=("file.ambiguous",))
    yield of_images("sd-scripts, BF16", all_of(weights(kohya(*images.unet(), dtype="BF16"), stripped(v1)), image_card(SD15)), "kohya")
    yield of_images("musubi-tuner, Wan", all_of(weights(kohya(*images.unet([path.replace(".", "_") for path in images.WAN])), {"ss_network_module": "networks.lora_wan", "ss_network_dim": "4", "ss_network_alpha": "2", "ss_base_model_version": "wan2.1"}), image_card("Wan-AI/Wan2.1-T2V-14B", license="apache-2.0", pipeline_tag="text-to-video")), "kohya")
    yield of_images("OneTrainer, SDXL", all_of(weights(kohya(*images.unet(), *images.encoder("1"), *images.encoder("2")), images.one_trainer("stable-diffusion-xl-v1-base/lora", ss_base_model_version="sdxl_")), image_card(SDXL)), "kohya")
    yield of_images("OneTrainer, Flux", all_of(weights(kohya(*[f"lora_transformer_single_transformer_blocks_{n}_attn_to_{x}" for n in (0, 1) for x in "qkv"]), images.one_trainer("Flux.1-dev/lora")), image_card(FLUX_DEV, license="other")), "kohya")
    for kind, title in (("loha", "loha"), ("lokr", "lokr"), ("full", "locon"), ("boft", "oft")):
        yield of_images(f"LyCORIS {kind}", all_of(weights(images.lycoris(kind), stripped(notes("sd_v1", "stable-diffusion-v1/lora", "lycoris.kohya"))), image_card(SD15)), "lycoris", title)
    yield of_images("kohya with DoRA", all_of(weights(images.lycoris("dora"), stripped(notes("sd_v1", "stable-diffusion-v1/lora", "lycoris.kohya"))), image_card(SD15)), "kohya")
    yield of_images("LyCORIS GLoRA", all_of(weights(images.lycoris("glora"), stripped(notes("sd_v1", "stable-diffusion-v1/lora", "lycoris.kohya"))), image_card(SD15)), "lycoris", "glora")


def of_pipelines() -> Iterator[Row]:
    card = image_card(SD15)
    for form in ("processors", "prefixed processors", "layers", "peft", "text encoder"):
        yield of_images(f"diffusers, {form}", all_of(weights(images.diffusers_unet(form), path="pytorch_lora_weights.safetensors"), card), "diffusers")
    flux = [f"transformer.transformer_blocks.{n}.attn.{name}" for n in (0, 1) for name in ("to_q", "to_k", "to_v", "to_out.0")]
    lora = (".lora_A.weight", ".lora_B.weight")
    yield of_images("diffusers, dreambooth of Flux", all_of(weights(images.pairs(flux, *lora), images.ADAPTER_METADATA, "pytorch_lora_weights.safetensors"), image_card(FLUX_DEV, license="other")), "diffusers")
    yield of_images("diffusers, dreambooth of SDXL, the WebUI's form beside it", all_of(weights(images.diffusers_unet("text encoder"), path="pytorch_lora_weights.safetensors"), weights(kohya(*images.unet()), path="pytorch_lora_weights_kohya.safetensors"), image_card(SDXL)), "diffusers", warns=("file.ambiguous",))
    yield of_images("diffusers, CogVideoX", all_of(weights(images.pairs([f"transformer.transformer_blocks.{n}.attn1.to_{x}" for n in (0, 1) for x in "qkv"], *lora), path="pytorch_lora_weights.safetensors"), image_card("THUDM/CogVideoX-5b", license="other", pipeline_tag="text-to-video")), "diffusers")
    yield of_images("ai-toolkit, Flux", all_of(weights(images.pairs(flux, *lora, dtype="BF16"), images.ai_toolkit("mychar", "flux1")), image_card(FLUX_DEV, license="other")), "diffusers")
    for name, paths, base in (
        ("Wan", images.WAN, "Wan-AI/Wan2.1-T2V-14B"), ("Qwen-Image", images.QWEN_IMAGE, "Qwen/Qwen-Image"),
        ("Flux 2", ["double_blocks.0.img_attn.qkv", "single_blocks.0.linear1"], "black-forest-labs/FLUX.2-dev"),
        ("Z-Image", [f"layers.{n}.attention.to_{x}" for n in (0, 1) for x in "qkv"], "Tongyi-MAI/Z-Image-Turbo"),
        ("LTX", [f"transformer_blocks.{n}.attn1.to_{x}" for n in (0, 1) for x in "qkv"], "Lightricks/LTX-Video"),
    ):
        names = [f"diffusion_model.{path}" for path in paths]
        yield of_images(f"ai-toolkit, {name}", all_of(weights(images.pairs(names, *lora, dtype="BF16"), images.ai_toolkit("mychar", "")), image_card(base, license="apache-2.0")), "diffusers")
    comfy = kohya(*[f"diffusion_model.{path}" for path in images.WAN])
    yield of_images("ComfyUI's names with down and up", all_of(weights(comfy), image_card("Wan-AI/Wan2.1-T2V-14B", license="apache-2.0")), "diffusers")
    xlabs = images.pairs([f"double_blocks.{n}.processor.{at}_lora{k}" for n in (0, 1) for at in ("qkv", "proj") for k in (1, 2)], ".down.weight", ".up.weight")
    yield of_images("XLabs, Flux", all_of(weights(xlabs, path="lora.safetensors"), image_card(FLUX_DEV, license="other")), "diffusers")


def of_runtimes() -> Iterator[Row]:
    """Told by their files, and fitted to the shapes of the base where it is here."""
    card = front("# zoo/llama, fine-tuned", library_name="mlx", tags=["mlx"], base_model="zoo/llama", license="llama3", pipeline_tag="text-generation")
    fit = {"format": "mlx", "kind": "lora", "depth": "fit", "base": "zoo/llama"}
    yield Row("mlx-lm", "", all_of(others.mlx("zoo/llama"), card), base="llama", facts=fit)
    yield Row("mlx-lm with a copy every hundred iterations", "", all_of(others.mlx("zoo/llama", steps=(100, 200, 300)), card), base="llama", facts=fit)
    yield Row("mlx-lm by DoRA", "", all_of(others.mlx("zoo/llama", kind="dora"), card), base="llama", facts=fit)
    yield Row("mlx-lm on all linear layers", "", all_of(others.mlx("zoo/llama", tensors=others.mlx_tensors(tuple(others.LINEAR))), card), base="llama", facts=fit)
    yield Row("mlx-lm without a card", "", others.mlx("zoo/llama"), base="llama", warns=(UNLICENSED,), facts=fit)
    yield Row("a LoRA in GGUF", "", all_of(file("lora-f32.gguf", others.gguf_lora()), card), base="llama", facts={"format": "gguf", "kind": "lora", "depth": "fit"})
    yield Row("a LoRA in GGUF, all modules, alpha 0", "", all_of(file("x.gguf", others.gguf_lora(tuple(others.GGML), alpha=0.0)), card), base="llama", facts={"format": "gguf", "depth": "fit"})
    yield Row("a LoRA of loralib", "", all_of(file("lora.safetensors", pack(others.loralib())), card), base="llama", facts={"format": "loralib", "depth": "fit"})
    yield Row("a LoRA of loralib, without the model's name", "", all_of(file("lora.safetensors", pack(others.loralib(""))), card), base="llama", facts={"format": "loralib"})
    yield Row("an archive of NeMo", "", all_of(file("megatron_gpt_peft_lora_tuning.nemo", others.nemo()), front("# NeMo", license="other", base_model="zoo/llama", library_name="nemo")), base="", facts={"format": "nemo", "depth": "static"})


def of_vectors() -> Iterator[Row]:
    """New words, pictures as prompts, vectors to steer by: recognised by what is in them, and not run."""
    gone = drop("adapter_config.json", "adapter_model.safetensors")
    lit = all_of(gone, file("hyperparameters.yaml", "lora_r: 4\n"), file("model_config.yaml", "name: Llama-3-8B\n"), file("prompt_style.json", '{"class_path": "litgpt.prompts.Alpaca"}'))
    yield of_images("a textual inversion", all_of(file("learned_embeds.safetensors", pack(others.learned_embeds())), image_card(SD15)), "textual-inversion", "textual-inversion")
    yield Row("a textual inversion, pickled", "wild5/file-embedding", all_of(gone, image_card(SD15)), base="", warns=("file.pickle",), says="with the program that trained it", facts={"format": "textual-inversion", "depth": "static"})
    yield of_images("an IP-Adapter", all_of(file("ip-adapter_sd15.safetensors", pack(others.ip_adapter())), image_card(SD15)), "ip-adapter", "ip-adapter")
    yield of_images("a control vector", all_of(file("happy.gguf", others.control_vector()), front("# Happy", license="mit", base_model="zoo/llama")), "control-vector", "control-vector")
    yield Row("LitGPT", "wild5/file-litgpt", lit, base="", warns=("file.pickle",), facts={"format": "litgpt", "kind": "lora", "depth": "static"})


def of_nothing() -> Iterator[Row]:
    """No adapter, so no verdict: the hub says what it is."""
    model = all_of(file("model.safetensors", pack(others.whole_model())), file("config.json", '{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}'), hf_trainer_card("zoo/llama", "llama3"))
    yield Row("a merged model", "", model, NONE, says="a full model")
    yield Row("a merged model in two parts", "", all_of(*(file(f"model-{n:05}-of-00002.safetensors", pack(others.whole_model())) for n in (1, 2)), file("model.safetensors.index.json", "{}")), NONE, says="a full model")
    yield Row("a model in GGUF", "", file("llama-q4_k_m.gguf", others.gguf_model()), NONE, says="GGUF")
    yield Row("a dataset by mistake", "", all_of(file("train.jsonl", '{"text": "x"}\n'), front("# Data", license="mit")), NONE)
    yield Row("a card alone", "", front("# Coming soon", license="mit", base_model="zoo/llama"), NONE)
    yield Row("a tokenizer alone", "", file("tokenizer.json", json.dumps({"model": {"type": "BPE", "vocab": {}}})), NONE)


def every() -> list[Row]:
    return [row for part in (of_kohya, of_pipelines, of_runtimes, of_vectors, of_nothing) for row in part()]
