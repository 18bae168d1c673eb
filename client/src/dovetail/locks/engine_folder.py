"""A lock as the folder of one serving engine: the files of each adapter, and for llama.cpp the GGUF made of them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dovetail.adapters.convert import Unconvertible
from dovetail.adapters.files.header import Opener
from dovetail.base.locks import Lock, LockedAdapter, LockedFile
from dovetail.base.problems import Problem, usage
from dovetail.base.sources import Source
from dovetail.serve import layouts
from dovetail.serve.target import Target
from dovetail.store.store import Store, digest

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
    if layout not in layouts.ENGINES:
        raise usage(f"There is no layout {layout!r}.", f"Use one of {', '.join(layouts.ENGINES)}.")
    entries = {(entry.adapter, entry.revision): entry for entry in lock.adapters}
    items = [
        layouts.Item(_target(entry, lock.hub), entry.serving, [file.path for file in entry.files])
        for entry in entries.values()
    ]
    arranged = layouts.arrange(layout, items, str(to))

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
        raise usage(f"{layout} serves nothing of the lock. {reasons}", "`dovetail verdict NS/NAME` says what does.")
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
                f"{entry.adapter}@{entry.revision} became no GGUF file: {refusal}",
                f"Take it out of the lock: dovetail lock --remove {entry.adapter}",
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
    own = {name: file for name, file in inside.items() if layouts.NEEDED.fullmatch(name)}
    sources = {name: Source(entry.adapter, entry.revision, file) for name, file in own.items()}
    return {**sources, BASE_CONFIG: Source(pin.id, "main", config)}


def _make(place: str, inputs: Mapping[str, LockedFile], cache: Store) -> LockedFile:
    openers = {name: _opener(cache.place(file.sha256)) for name, file in inputs.items()}
    config = openers.pop(BASE_CONFIG)
    key = hashlib.sha256("".join(file.sha256 for file in inputs.values()).encode()).hexdigest()
    part = cache.part(key)
    try:
        with part.open("wb") as out:
            layouts.write_gguf(openers, config, out)
        sha256 = digest(part)
        made = LockedFile(place, sha256, part.stat().st_size)
        cache.take(part, sha256)
    finally:
        part.unlink(missing_ok=True)
    return made


def _opener(path: Path) -> Opener:
    return lambda: path.open("rb")
