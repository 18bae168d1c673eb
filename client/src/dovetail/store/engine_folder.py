"""A lock as the folder of one serving engine: the files of each adapter, and for llama.cpp the GGUF made of them.

Every adapter gets a folder, or for llama.cpp a file, that is named by its commit, so a new version never takes the
place of the one that is being served. An adapter that the engine does not serve rightly is left out, with the reason.
"""

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from dovetail.adapters.convert import Unconvertible, convert
from dovetail.adapters.convert.gguf_writer import FILE as GGUF
from dovetail.adapters.files.header import Opener
from dovetail.adapters.results.report import Serving
from dovetail.locks import Lock, LockedAdapter, LockedFile, Source
from dovetail.problems import Problem, usage
from dovetail.serve.server_start import Target
from dovetail.store.store import Store, digest

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
        raise Unconvertible("it could not be converted to GGUF")
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


CONFIG, BASE_CONFIG = "adapter_config.json", "config.json"


@dataclass(frozen=True)
class LaidOut:
    """Place below the folder → source, or for a GGUF file its adapter; what is left out, and why; the engine's options.

    `left_out` names adapters as NS/NAME@COMMIT.
    """

    files: Mapping[str, Source] = field(default_factory=dict)
    made: Mapping[str, LockedAdapter] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    start: tuple[str, ...] = ()


def lay_out(lock: Lock, layout: str, to: Path) -> LaidOut:
    """Return the folder of a layout in `layouts.ENGINES`. Raises Problem for an unknown one."""
    if layout not in ENGINES:
        raise usage(f"There is no layout {layout!r}.", f"Use one of {', '.join(ENGINES)}.")
    entries = {(entry.adapter, entry.revision): entry for entry in lock.adapters}
    items = [
        Item(_target(entry, lock.hub), entry.serving, [file.path for file in entry.files]) for entry in entries.values()
    ]
    arranged = arrange(layout, items, str(to))

    def source(target: Target, path: str) -> Source:
        files = entries[target.adapter, target.revision].files
        return Source(target.adapter, target.revision, next(file for file in files if file.path == path))

    return LaidOut(
        {place: source(target, path) for place, (target, path) in arranged.files.items()},
        {place: entries[target.adapter, target.revision] for place, target in arranged.made.items()},
        arranged.left_out,
        arranged.start,
    )


def require_served(lock: Lock, laid_out: LaidOut, layout: str) -> None:
    """Raise Problem if the engine serves nothing of the lock, or if its adapters are of several bases."""
    if lock.adapters and not laid_out.files and not laid_out.made:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in laid_out.left_out.items())
        raise usage(f"{layout} serves no adapter of the lock. {reasons}", "`dovetail verdict NS/NAME` shows what does.")
    served = [entry for entry in lock.adapters if f"{entry.adapter}@{entry.revision}" not in laid_out.left_out]
    bases = {entry.base.id.casefold(): entry.base.id for entry in served if entry.base}
    if len(bases) > 1:
        raise usage(
            f"The lock names adapters of several bases: {', '.join(sorted(bases.values()))}; an engine serves one.",
            "Keep a lock for each base: dovetail lock --file FILE NS/NAME@REV",
        )


def _target(entry: LockedAdapter, hub: str) -> Target:
    base = entry.base.id if entry.base else ""
    return Target(entry.adapter, hub, entry.revision, _place(entry), base)


def _place(entry: LockedAdapter) -> str:
    """Return the folder of the adapter in its repository: the one nearest to the top that has a config."""
    folders = [file.path.rpartition("/")[0] for file in entry.files if file.path.rpartition("/")[2] == CONFIG]
    return min(folders, key=lambda folder: (folder.count("/") + bool(folder), folder), default="")


# --- GGUF files ------------------------------------------------------------------------------------------------------
def make(
    lock: Lock, laid_out: LaidOut, cache: Store, fetch: Callable[[Iterable[Source]], object]
) -> dict[str, LockedFile]:
    """Make the GGUF files in the cache, of inputs that `fetch` brings there; return place → file. Raises Problem."""
    inputs = {place: _inputs(lock, entry) for place, entry in laid_out.made.items()}
    fetch([source for sources in inputs.values() for source in sources.values()])
    files = {}
    for place, sources in inputs.items():
        try:
            files[place] = _make(place, {name: source.file for name, source in sources.items()}, cache)
        except Unconvertible as refusal:
            entry = laid_out.made[place]
            raise Problem(
                f"{entry.adapter}@{entry.revision} could not be converted to GGUF: {refusal}",
                f"Remove it from the lock: dovetail lock --remove {entry.adapter}",
                code="client-not-convertible",
            ) from None
    return files


def _inputs(lock: Lock, entry: LockedAdapter) -> dict[str, Source]:
    """Return name → source of an adapter's own files and of the base's config. Raises Problem where that is unknown."""
    pin = entry.base
    bases = [base for base in lock.bases if pin and (base.id, base.sha256) == (pin.id, pin.sha256)]
    config = next((file for base in bases for file in base.files if file.path == BASE_CONFIG), None)
    if pin is None or config is None:
        raise Problem(
            f"The lock has no digest of the {BASE_CONFIG} of the base of {entry.adapter}, which a GGUF file needs.",
            "Have the adapter validated again and run `dovetail lock --update`.",
            code="client-base-not-locked",
        )
    prefix = f"{place}/" if (place := _place(entry)) else ""
    inside = {file.path.removeprefix(prefix): file for file in entry.files if file.path.startswith(prefix)}
    own = {name: file for name, file in inside.items() if NEEDED.fullmatch(name)}
    sources = {name: Source(entry.adapter, entry.revision, file) for name, file in own.items()}
    return {**sources, BASE_CONFIG: Source(pin.id, "main", config)}


def _make(place: str, inputs: Mapping[str, LockedFile], cache: Store) -> LockedFile:
    openers = {name: _opener(cache.place(file.sha256)) for name, file in inputs.items()}
    config = openers.pop(BASE_CONFIG)
    key = hashlib.sha256("".join(file.sha256 for file in inputs.values()).encode()).hexdigest()
    part = cache.part(key)
    try:
        with part.open("wb") as out:
            write_gguf(openers, config, out)
        sha256 = digest(part)
        made = LockedFile(place, sha256, part.stat().st_size)
        cache.take(part, sha256)
    finally:
        part.unlink(missing_ok=True)
    return made


def _opener(path: Path) -> Opener:
    return lambda: path.open("rb")
