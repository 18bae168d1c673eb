"""Weights as trainers and tools outside of PEFT write them: the names, the shapes and the notes of their files."""

import struct

from tests.adapters import pack
from tests.pickles.hostile import archive, storage, table, tensor, text

Shapes = dict[str, tuple[int, ...]]


def safe(shapes: Shapes, **notes: str) -> bytes:
    tensors = {}
    for name, shape in shapes.items():
        values = 1
        for size in shape:
            values *= size
        tensors[name] = ("F16", shape, struct.pack("<e", 0.5) * values)
    return pack(tensors, notes)


def pair(module: str, inputs: int, outputs: int, down: str = "lora_A.weight", up: str = "lora_B.weight") -> Shapes:
    return {f"{module}.{down}": (2, inputs), f"{module}.{up}": (outputs, 2)}


def kohya(module: str, inputs: int, outputs: int) -> Shapes:
    return pair(module, inputs, outputs, "lora_down.weight", "lora_up.weight") | {f"{module}.alpha": ()}


def gguf(shapes: Shapes, **facts: str) -> bytes:
    """A GGUF file of F32 tensors with these facts."""

    def name(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(facts))
    for key, value in facts.items():
        head += name(key.replace("__", ".")) + struct.pack("<I", 8) + name(value)
    data = b""
    for tensor_name, shape in shapes.items():
        head += name(tensor_name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", 0, len(data))
        values = 1
        for size in shape:
            values *= size
        data += (struct.pack("<f", 0.5) * values).ljust(-(-4 * values // 32) * 32, b"\0")
    return head.ljust(-(-len(head) // 32) * 32, b"\0") + data


def torch_save(*names: str, within: str = "") -> bytes:
    """A zip of torch.save with tensors of six values, in a table of the key `within` if there is one."""
    inner = b"".join(text(name) + tensor() for name in names)
    return archive(table(text(within), b"}(" + inner + b"u") if within else table(inner), VALUES)


VALUES = {"0": struct.pack("<6f", *range(1, 7))}
IP = {"image_proj.proj.weight": (8, 8), "image_proj.norm.weight": (8,), "ip_adapter.1.to_k_ip.weight": (8, 8),
      "ip_adapter.1.to_v_ip.weight": (8, 8)}  # fmt: skip
VECTOR, LONG = tensor(storage(values=32), shape=(32,), stride=(1,)), {"0": struct.pack("<32f", *range(1, 33))}
STEERING = {f"layers.{number}": (1, 32) for number in range(2)}
# format → kind → files of that format, under names that tell nothing as well
WILD: dict[str, tuple[str, str, dict[str, bytes]]] = {
    "ai-toolkit, Flux": ("diffusers", "lora", {"my_flux_lora.safetensors": safe(
        pair("diffusion_model.double_blocks.0.img_attn.qkv", 3072, 96), software="ai-toolkit")}),
    "ComfyUI, Wan": ("diffusers", "lora", {"model.safetensors": safe(
        pair("diffusion_model.blocks.0.cross_attn.k", 64, 64, "lora_down.weight", "lora_up.weight")
        | {"diffusion_model.blocks.0.cross_attn.k.alpha": (), "diffusion_model.blocks.0.norm3.diff": (64,)})}),
    "ai-toolkit, Qwen-Image": ("diffusers", "lora", {"weights": safe(
        pair("diffusion_model.transformer_blocks.0.attn.to_q", 3072, 8)
        | pair("diffusion_model.transformer_blocks.0.img_mod.1", 3072, 8))}),
    "LTX": ("diffusers", "lora", {"ltx.safetensors": safe(
        pair("diffusion_model.transformer_blocks.0.attn1.to_q", 2048, 8))}),
    "a LoKr of ai-toolkit": ("lycoris", "lokr", {"x.safetensors": safe(
        {f"diffusion_model.double_blocks.0.img_attn.proj.{part}": (4, 4) for part in ("lokr_w1", "lokr_w2")}
        | {"diffusion_model.double_blocks.0.img_attn.proj.alpha": ()})}),
    "SimpleTuner": ("lycoris", "lokr", {"pytorch_lora_weights.safetensors": safe(
        {f"lycoris_transformer_blocks_0_attn_to_q.{part}": (4, 4) for part in ("lokr_w1", "lokr_w2")})}),
    "OneTrainer": ("diffusers", "lora", {"lora.safetensors": safe(
        pair("unet.down_blocks.0.attentions.0.proj_in", 8, 8, "lora_down.weight", "lora_up.weight")
        | {"unet.down_blocks.0.attentions.0.proj_in.dora_scale": (8, 1)}, **{"modelspec.architecture": "x/lora"})}),
    "kohya, SD3": ("kohya", "lora", {"model": safe(kohya("lora_unet_joint_blocks_0_x_block_attn_qkv", 16, 16))}),
    "LitGPT": ("litgpt", "lora", {"lit_model.pth.lora": torch_save(
        "transformer.h.0.attn.qkv.lora_A", "transformer.h.0.attn.qkv.lora_B", within="model")}),
    "LitGPT in safetensors": ("litgpt", "lora", {"weights": safe(
        {"transformer.h.0.attn.qkv.lora_A": (4, 8), "transformer.h.0.attn.qkv.lora_B": (24, 2)})}),
    "a word of diffusers": ("textual-inversion", "textual-inversion", {"learned_embeds.safetensors": safe(
        {"<cat-toy>": (768,)})}),
    "words for SDXL": ("textual-inversion", "textual-inversion", {"model.safetensors": safe(
        {"clip_l": (4, 768), "clip_g": (4, 1280)})}),
    "words of the WebUI": ("textual-inversion", "textual-inversion", {"x.safetensors": safe({"emb_params": (4, 768)})}),
    "words of the WebUI as a pickle": ("textual-inversion", "textual-inversion", {"x.pt": archive(table(
        text("string_to_token"), b"}(" + text("*") + b"M\x09\x01u", text("string_to_param"),
        b"}(" + text("*") + tensor() + b"u", text("name"), text("cat"), text("step"), b"K\x64"), VALUES)}),
    "an IP-Adapter": ("ip-adapter", "ip-adapter", {"model.safetensors": safe(IP)}),
    "an IP-Adapter as a pickle": ("ip-adapter", "ip-adapter", {"weights.bin": archive(table(
        text("image_proj"), b"}(" + text("proj.weight") + tensor() + b"u",
        text("ip_adapter"), b"}(" + text("1.to_k_ip.weight") + tensor() + b"u"), VALUES)}),
    "a control vector": ("control-vector", "control-vector", {"happy.gguf": gguf(
        {f"direction.{number}": (32,) for number in (1, 2)}, general__architecture="controlvector",
        controlvector__model_hint="llama")}),
    "a control vector without a suffix": ("control-vector", "control-vector", {"happy": gguf(
        {"direction.1": (32,)}, general__architecture="controlvector")}),
    "steering vectors": ("steering-vector", "steering-vector", {"model.safetensors": safe(STEERING)}),
    "steering vectors as a pickle": ("steering-vector", "steering-vector", {"vectors.pt": archive(
        b"\x80\x02}(" + b"".join(b"K" + bytes([number]) + VECTOR for number in (7, 8)) + b"u.", LONG)}),
    "GGUF without its type": ("gguf", "lora", {"x.gguf": gguf(
        {"blk.0.attn_q.weight.lora_a": (4, 32), "blk.0.attn_q.weight.lora_b": (32, 4)},
        general__architecture="llama")}),
    "MLX without a suffix": ("mlx", "lora", {"adapters": safe(
        {"model.layers.0.self_attn.q_proj.lora_a": (32, 4), "model.layers.0.self_attn.q_proj.lora_b": (4, 32)})}),
}  # fmt: skip
PEFT = safe(pair("base_model.model.model.layers.0.self_attn.q_proj", 32, 32))
MODEL = safe({f"model.layers.{number}.mlp.up_proj.weight": (8, 8) for number in range(2)})
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 123\n"
# Kinds of folders without an adapter → their files, and words of the answer
NONE: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
    "a full model": ({"model.safetensors": MODEL, "config.json": b'{"architectures": ["LlamaForCausalLM"]}'},
                     ("model.safetensors is a full model", "2 tensors, 128 values", "LlamaForCausalLM")),
    "a model in shards": ({"model-00001-of-00002.safetensors": MODEL, "model.safetensors.index.json":
                           b'{"weight_map": {"a.weight": "x", "b.weight": "y"}}'},
                          ("the index of 2 files with 2 tensors",)),
    "a pointer": ({"anything.safetensors": POINTER}, ("a Git LFS pointer",)),
    "a pickled pointer": ({"pytorch_model.bin": POINTER}, ("a Git LFS pointer",)),
    "PEFT under another name": ({"weights": PEFT}, ("an adapter of PEFT without its config",)),
    "a model in GGUF": ({"x": gguf({"a.weight": (4, 4)}, general__architecture="qwen2")}, ("architecture qwen2",)),
    "cut off": ({"x.safetensors": MODEL[:-3]}, ("not a valid safetensors file",)),
}  # fmt: skip
