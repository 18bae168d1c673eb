"""Converts an adapter by llama.cpp's own script and the config of its base, and lets llama.cpp answer with it.

The scripts lie in the interpreter .engines/llama.cpp, and run as people run them. Only the tokenizer is ours, for the
base's own is not here. llama.cpp itself is loaded in the child, because it starts threads.
"""

from __future__ import annotations

import json
import logging
import os
import runpy
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import gguf
from dovetail.adapters.results.report import Measured
from features.measured.engine import Trial, Unmeasurable
from features.measured.engine.small import TOKENS, Answer, Small, expected, refused, words
from features.measured.engine.small_base import VOCABULARY, write_tokenizer

ENGINE = f"llama.cpp {version('xllamacpp')}"
SCRIPTS = Path(sysconfig.get_paths()["purelib"]) / "llama_cpp_converters"
TO_ADAPTER, TO_MODEL = "convert_lora_to_gguf.py", "convert_hf_to_gguf.py"
# Raised where a script or llama.cpp refuses; anything else is our fault.
REFUSALS = (ValueError, TypeError, RuntimeError, AssertionError, LookupError, AttributeError)
MAX_MISSED = 5
CONTEXT = 128
NORMAL = 1  # the type of an ordinary token

sys.path[:0] = [str(SCRIPTS), str(SCRIPTS / "gguf-py")]


class ScriptRefusal(RuntimeError):
    """A script ended by itself; the message is what it logged last."""


def rehearse() -> None:
    """Import the converters of every architecture."""
    from conversion import load_all_models
    from conversion.base import TextModel

    load_all_models()
    TextModel.get_vocab_base_pre = lambda *_: "default"  # the real tokenizer of the base is not here
    for script in (TO_ADAPTER, TO_MODEL):
        runpy.run_path(str(SCRIPTS / script), run_name="rehearsed")


def measure(trial: Trial) -> Measured:
    """Return what llama.cpp does with an adapter, or how its converter refuses it. Raises Unmeasurable."""
    if not trial.subject.is_lora:
        raise Unmeasurable("It is not a LoRA of PEFT, the only kind that llama.cpp converts.")
    skipped: list[str] = []
    model_class = _class(trial.config)
    _watch(model_class, skipped)
    write_tokenizer(trial.base)
    _require_base(trial)
    target = trial.work / "adapter.gguf"
    try:
        _convert(TO_ADAPTER, trial.adapter, target, "--base", trial.base)
        _require_adapter(target)
    except REFUSALS as problem:
        return refused(ENGINE, trial, problem)
    modules = {name.partition(".lora_")[0] for name in skipped}
    of = len(trial.subject.modules)
    mapped = Measured(engine=ENGINE, modules=of - len(modules), of=of, missed=tuple(sorted(modules)[:MAX_MISSED]))
    return _run(trial, model_class, mapped) if trial.runs and len(modules) < of else mapped


def _run(trial: Trial, model_class: Any, mapped: Measured) -> Measured:
    """Let llama.cpp answer with the adapter on a small base; where that cannot be, what was mapped stays."""
    try:
        small = Small(trial)
        base, adapter = small.write_base(), small.write_adapter()
        right = expected(small)
        _give_tokens(model_class)
        _convert(TO_MODEL, base, trial.work / "small.gguf")
        _convert(TO_ADAPTER, adapter, trial.work / "small-adapter.gguf", "--base", base)
        right.require_base(_answers(trial, right.prompts))
    except (Unmeasurable, *REFUSALS) as problem:
        return replace(mapped, not_run=words(problem))
    try:
        return right.judged(mapped, _answers(trial, right.prompts, trial.work / "small-adapter.gguf"))
    except REFUSALS as problem:
        return replace(refused(ENGINE, trial, problem), depth="run")


def _require_base(trial: Trial) -> None:
    """Raise Unmeasurable where the converter ends at a base by itself: it does so with an adapter of no tensors too."""
    empty = trial.work / "empty"
    empty.mkdir()
    save_file({}, empty / "adapter_model.safetensors")
    (empty / configs.NAME).write_text(json.dumps({"lora_alpha": 1}))
    try:
        _convert(TO_ADAPTER, empty, trial.work / "empty.gguf", "--base", trial.base)
    except REFUSALS as problem:
        raise Unmeasurable(f"The converter does not accept the config of the base: {words(problem)}") from problem


def _require_adapter(file: Path) -> None:
    """Raise what llama.cpp raises where a converter wrote something else: it compares the type that a file says."""
    with file.open("rb") as opened:
        written = gguf.read(opened).get("general.type", "")
    if written != "adapter":
        raise ScriptRefusal(f"expect general.type to be 'adapter', but got: {written}")


def _class(config: Any) -> Any:
    """Return the converter's class for a base. Raises Unmeasurable where it has none: the rules tell that."""
    from conversion import ModelType, get_model_architecture, get_model_class

    try:
        return get_model_class(get_model_architecture(dict(config), ModelType.TEXT))
    except (*REFUSALS, NotImplementedError) as problem:
        raise Unmeasurable(words(problem)) from problem


def _watch(model_class: Any, skipped: list[str]) -> None:
    """Note the tensors that a converter leaves out without a word."""
    filters = model_class.filter_tensors.__func__  # the script derives a class, and the method must get that one

    def noting(cls: Any, item: Any) -> Any:
        kept = filters(cls, item)
        if kept is None:
            skipped.append(str(item[0]).removesuffix(".weight"))
        return kept

    model_class.filter_tensors = classmethod(noting)


def _give_tokens(model_class: Any) -> None:
    """Let a converter write a plain list of tokens, where it would look for a tokenizer that it knows."""

    def plain(self: Any) -> None:
        writer = self.gguf_writer
        writer.add_tokenizer_model("llama")
        writer.add_token_list([f"w{number}" for number in range(VOCABULARY)])
        writer.add_token_scores([0.0] * VOCABULARY)
        writer.add_token_types([NORMAL] * VOCABULARY)

    model_class.set_vocab = plain


def _convert(script: str, source: Path, target: Path, *options: str | Path) -> None:
    """Run a script of llama.cpp in this process, with the arguments of its command line. Raises what it raises."""
    last: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            last.append(record.getMessage())

    root, keeping = logging.getLogger(), Keeping(logging.ERROR)
    root.addHandler(keeping)
    sys.argv = [script, str(source), "--outtype", "f32", "--outfile", str(target), *map(str, options)]
    try:
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    except (SystemExit, NotImplementedError) as ending:
        raise ScriptRefusal(last[0] if last else words(ending)) from ending
    finally:
        root.removeHandler(keeping)


def _answers(trial: Trial, prompts: Sequence[list[int]], adapter: Path | None = None) -> list[Answer]:
    """Return llama.cpp's answers. Raises RuntimeError where it refuses a file."""
    import xllamacpp

    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(trial.work / "small.gguf")
    chosen.n_ctx, chosen.n_parallel, chosen.warmup, chosen.use_jinja, chosen.port = CONTEXT, 1, False, False, 0
    chosen.cache_type_k = chosen.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    chosen.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    chosen.hostnames = [f"\0{os.getpid()}.sock"]  # its server listens there, and the jail lets nobody come
    chosen.cpuparams.n_threads = 1
    chosen.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)] if adapter else []
    server = xllamacpp.Server(chosen)
    return [_answer(server, prompt, adapter is not None) for prompt in prompts]


def _answer(server: Any, prompt: list[int], with_adapter: bool) -> Answer:
    reply = server.handle_completions(
        {
            "prompt": prompt,
            "n_predict": TOKENS,
            "temperature": 0.0,
            "logprobs": 1,
            "ignore_eos": True,
            "cache_prompt": False,
            "lora": [{"id": 0, "scale": 1.0}] if with_adapter else [],
        }
    )
    content = reply["choices"][0]["logprobs"]["content"]
    logprobs = (item["logprob"] for item in content)
    return Answer(
        tuple(item["id"] for item in content),
        tuple(float("nan") if number is None else float(number) for number in logprobs),
    )
