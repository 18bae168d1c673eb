"""Formats of other runtimes: MLX, GGUF, NeMo, loralib, and files that are no adapter at all."""

import io
import json
import struct
import tarfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.adapters import CONFIG, Tensors, pack
from tests.pickled import torch_file
from tests.zoo.changes import Change, all_of, file, tensor
from tests.zoo.wild.images import dice

LINEAR = {"self_attn.q_proj": (32, 32), "self_attn.k_proj": (32, 16), "self_attn.v_proj": (32, 16), "self_attn.o_proj": (32, 32),
          "mlp.gate_proj": (32, 64), "mlp.up_proj": (32, 64), "mlp.down_proj": (64, 32)}  # fmt: skip
GGML = {"attn_q": (32, 32), "attn_k": (32, 16), "attn_v": (32, 16), "attn_output": (32, 32), "ffn_gate": (32, 64),
        "ffn_up": (32, 64), "ffn_down": (64, 32)}  # fmt: skip


# --- MLX -------------------------------------------------------------------------------------------------------------
def mlx_tensors(
    names: tuple[str, ...] = ("self_attn.q_proj", "self_attn.v_proj"), *, dora: bool = False, rank: int = 4
) -> Tensors:
    made: Tensors = {}
    for layer in (0, 1):
        for name in names:
            path, (inputs, outputs) = f"model.layers.{layer}.{name}", LINEAR[name]
            random = dice(path)
            made[f"{path}.lora_a"] = tensor(random.normal(0, 0.1, (inputs, rank)))
            made[f"{path}.lora_b"] = tensor(random.normal(0, 0.1, (rank, outputs)))
            if dora:
                made[f"{path}.m"] = tensor(random.uniform(0.5, 1.5, outputs))
    return made


def mlx(
    model: str, *, kind: str = "lora", steps: tuple[int, ...] = (), tensors: Tensors | None = None, **more: Any
) -> Change:
    """mlx_lm/lora.py: save_config(vars(args)), adapters.safetensors, and a copy of it every hundred iterations."""
    said = {
        "adapter_path": "adapters", "batch_size": 4, "config": None, "data": "mlx-community/WikiSQL", "fine_tune_type": kind,
        "grad_checkpoint": False, "iters": 600, "learning_rate": 1e-5, "lora_parameters": {"rank": 4, "dropout": 0.0, "scale": 20.0},
        "lr_schedule": None, "mask_prompt": False, "max_seq_length": 2048, "model": model, "num_layers": 16, "optimizer": "adam",
        "optimizer_config": {"adam": {}, "adamw": {}}, "resume_adapter_file": None, "save_every": 100, "seed": 0, "steps_per_eval": 200,
        "steps_per_report": 10, "test": False, "test_batches": 500, "train": True, "val_batches": 25, "wandb": None, **more,
    }  # fmt: skip
    data = pack(tensors or mlx_tensors(dora=kind == "dora"), {"format": "mlx"})
    copies = [file(f"{step:07d}_adapters.safetensors", data) for step in steps]
    return all_of(file(CONFIG, json.dumps(said, indent=4)), file("adapters.safetensors", data), *copies)


# --- GGUF ------------------------------------------------------------------------------------------------------------
def gguf(tensors: Mapping[str, tuple[int, ...]], **facts: Any) -> bytes:
    """A file of llama.cpp; `__` in a key stands for a point, and shapes have the inner dimension first, as ggml's."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def entry(key: str, value: Any) -> bytes:
        kinds = {str: 8, float: 6, int: 4}
        data = text(value) if isinstance(value, str) else struct.pack("<f" if isinstance(value, float) else "<I", value)
        return text(key.replace("__", ".")) + struct.pack("<I", kinds[type(value)]) + data

    head, body = b"", b""
    for name, shape in tensors.items():
        numbers = dice(name).normal(0, 0.1, shape).astype("<f4").tobytes()
        head += (
            text(name)
            + struct.pack("<I", len(shape))
            + struct.pack(f"<{len(shape)}Q", *shape)
            + struct.pack("<IQ", 0, len(body))
        )
        body += numbers.ljust(-(-len(numbers) // 32) * 32, b"\0")
    start = (
        b"GGUF"
        + struct.pack("<IQQ", 3, len(tensors), len(facts))
        + b"".join(entry(*fact) for fact in facts.items())
        + head
    )
    return start.ljust(-(-len(start) // 32) * 32, b"\0") + body


def gguf_lora(
    names: tuple[str, ...] = ("attn_q", "attn_v"), *, alpha: float = 8.0, architecture: str = "llama", rank: int = 4
) -> bytes:
    """convert_lora_to_gguf.py."""
    shapes = {}
    for layer in (0, 1):
        for name in names:
            inputs, outputs = GGML[name]
            shapes |= {
                f"blk.{layer}.{name}.weight.lora_a": (inputs, rank),
                f"blk.{layer}.{name}.weight.lora_b": (rank, outputs),
            }
    return gguf(
        shapes,
        general__architecture=architecture,
        general__type="adapter",
        adapter__type="lora",
        general__name="Lora",
        adapter__lora__alpha=alpha,
    )


def gguf_model(architecture: str = "llama") -> bytes:
    return gguf(
        {"token_embd.weight": (32, 96), "blk.0.attn_q.weight": (32, 32)},
        general__architecture=architecture,
        general__type="model",
        general__name="Full",
    )


# --- others ----------------------------------------------------------------------------------------------------------
def nemo() -> bytes:
    """An archive of NeMo 1: the weights and its settings, uncompressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in (
            ("model_config.yaml", b"peft:\n  peft_scheme: lora\n"),
            ("model_weights.ckpt", torch_file(b"\x80\x02}.")),
        ):
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def loralib(prefix: str = "model.", names: tuple[str, ...] = ("self_attn.q_proj", "self_attn.v_proj")) -> Tensors:
    """lora_state_dict() of Microsoft's loralib: a matrix each way, and no word of alpha."""
    made: Tensors = {}
    for layer in (0, 1):
        for name in names:
            inputs, outputs = LINEAR[name]
            path = f"{prefix}layers.{layer}.{name}"
            made[f"{path}.lora_A"] = tensor(dice(path).normal(0, 0.1, (4, inputs)))
            made[f"{path}.lora_B"] = tensor(dice(path).normal(0, 0.1, (outputs, 4)))
    return made


def whole_model() -> Tensors:
    return {name: tensor(np.ones(shape)) for name, shape in (
        ("model.embed_tokens.weight", (96, 32)), ("model.layers.0.self_attn.q_proj.weight", (32, 32)), ("model.norm.weight", (32,)),
        ("lm_head.weight", (96, 32)),
    )}  # fmt: skip


def learned_embeds() -> Tensors:
    return {"<cat-toy>": tensor(dice("cat").normal(0, 0.1, (1, 768)))}


def ip_adapter() -> Tensors:
    """IP-Adapter's own names: a projection of the picture, and keys and values of every second attention."""
    names = [f"ip_adapter.{number}.{part}.weight" for number in (1, 3, 5) for part in ("to_k_ip", "to_v_ip")]
    return {"image_proj.proj.weight": tensor(np.ones((32, 16))), "image_proj.norm.weight": tensor(np.ones(32)),
            **{name: tensor(dice(name).normal(0, 0.1, (32, 32))) for name in names}}  # fmt: skip


def control_vector() -> bytes:
    """repeng's export_gguf: a direction for each layer."""
    return gguf(
        {f"direction.{layer}": (32,) for layer in (1, 2)},
        general__architecture="controlvector",
        controlvector__model_hint="llama",
        controlvector__layer_count=2,
    )
