"""Folders of adapters as serving engines read them: which file goes where, and how the engine is started on the folder.

Every adapter gets a folder, or for llama.cpp a file, that is named by its commit, so a new version never takes the
place of the one that is being served. An adapter that the engine does not serve rightly is left out, with the reason.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from dovetail.adapters.convert import Unconvertible, convert
from dovetail.adapters.convert.gguf_writer import FILE as GGUF
from dovetail.adapters.files.header import Opener
from dovetail.adapters.results.report import Serving
from dovetail.serve.target import Target

# The engine whose verdict counts. NIM serves LoRA by vLLM's rules.
ENGINES = {"nim": "vllm", "sglang": "sglang", "lorax": "lorax", "tgi": "tgi", "llama.cpp": "llama.cpp"}
NEEDED = re.compile(r"adapter_[^/]*")  # the files that engines read of a PEFT adapter
RANK = re.compile(r"--max-lora-rank (\d+)")
MODULES = re.compile(r"--lora-target-modules (.+)")


@dataclass(frozen=True)
class Item:
    """One adapter for a layout: its target, the serving rows of its verdict, and the paths of its repository."""

    target: Target
    answers: Sequence[Serving]
    paths: Sequence[str]

    def answer(self, engine: str) -> Serving | None:
        return next((answer for answer in self.answers if answer.engine == engine), None)


@dataclass(frozen=True)
class Arranged:
    """Place below the folder → adapter and path in its repository; GGUF files to make; what is left out, and why.

    `start` are the options, or the environment, by which the engine reads the folder.
    """

    files: Mapping[str, tuple[Target, str]] = field(default_factory=dict)
    made: Mapping[str, Target] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    start: tuple[str, ...] = ()


def arrange(layout: str, items: Sequence[Item], to: str) -> Arranged:
    """Return the layout of a folder for an engine in ENGINES."""
    engine = ENGINES[layout]
    served, left_out = [], {}
    for item in items:
        answer = item.answer(engine)
        if answer is not None and answer.outcome == "serves":
            served.append(item)
        else:
            reason = answer.reason if answer else f"its verdict does not say whether {engine} serves it"
            left_out[f"{item.target.adapter}@{item.target.revision}"] = reason
    made = {f"{item.target.file_name}.gguf": item.target for item in served} if layout == "llama.cpp" else {}
    files: dict[str, tuple[Target, str]] = {}
    for item in served if not made else ():
        files |= {f"{item.target.file_name}/{name}": (item.target, path) for name, path in _needed(item).items()}
    flags = [str(flag) for item in served for flag in (item.answer(engine) or Serving(engine, outcome="serves")).flags]
    names = {item.target.name: item.target.file_name for item in served}
    return Arranged(files, made, left_out, tuple(STARTS[layout](to.rstrip("/"), names, flags)) if served else ())


def _needed(item: Item) -> dict[str, str]:
    """Return the name of each file that engines need, in the adapter's own folder → its path in the repository."""
    prefix = f"{item.target.place}/" if item.target.place else ""
    inside = {path.removeprefix(prefix): path for path in item.paths if path.startswith(prefix)}
    return {name: path for name, path in inside.items() if NEEDED.fullmatch(name)}


def write_gguf(files: Mapping[str, Opener], base_config: Opener, out: BinaryIO) -> None:
    """Write an adapter as llama.cpp reads it; `files` are those of its own folder. Raises Unconvertible."""
    made = convert(files, "gguf", base_files={"config.json": base_config})
    writer = made.files.get(GGUF)
    if writer is None:
        raise Unconvertible("it became no GGUF file")
    writer(out)


# --- how an engine is started on the folder --------------------------------------------------------------------------

Names = Mapping[str, str]  # served name → folder


def _max_rank(flags: Sequence[str]) -> list[int]:
    ranks = [int(rank[1]) for flag in flags if (rank := RANK.match(flag))]
    return [max(ranks)] if ranks else []


def _nim(to: str, names: Names, flags: Sequence[str]) -> list[str]:
    return [f"NIM_PEFT_SOURCE={shlex.quote(to)}", *(f"NIM_MAX_LORA_RANK={rank}" for rank in _max_rank(flags))]


def _sglang(to: str, names: Names, flags: Sequence[str]) -> list[str]:
    modules = sorted({word for flag in flags if (match := MODULES.match(flag)) for word in match[1].split()})
    targets = ["all"] if "all" in modules else modules
    paths = " ".join(shlex.quote(f"{name}={to}/{folder}") for name, folder in names.items())
    ranks = [f"--max-lora-rank {rank}" for rank in _max_rank(flags)]
    return ["--enable-lora", *ranks, f"--lora-target-modules {' '.join(targets)}", f"--lora-paths {paths}"]


def _lorax(to: str, names: Names, flags: Sequence[str]) -> list[str]:
    # A request names the adapter by its folder: adapter_id=TO/FOLDER.
    return ["--default-adapter-source local"]


def _tgi(to: str, names: Names, flags: Sequence[str]) -> list[str]:
    return [f"--lora-adapters {shlex.quote(','.join(f'{folder}={to}/{folder}' for folder in names.values()))}"]


def _llama_cpp(to: str, names: Names, flags: Sequence[str]) -> list[str]:
    # A request chooses by number and scale; without the last option all of them would be applied at once.
    return [*(f"--lora {shlex.quote(f'{to}/{folder}.gguf')}" for folder in names.values()), "--lora-init-without-apply"]


STARTS: dict[str, Callable[[str, Names, Sequence[str]], list[str]]] = {
    "nim": _nim,
    "sglang": _sglang,
    "lorax": _lorax,
    "tgi": _tgi,
    "llama.cpp": _llama_cpp,
}
