"""Makes the files of an adapter in another format, or another variant of them; lossless, or refused with the reason."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dovetail.adapters.convert import by_rank, diffusers, gguf_writer, kohya, loralib, mlx, peft, weights
from dovetail.adapters.convert.lora import Lora, Loss, Unconvertible, only, read_lazily
from dovetail.adapters.convert.loralib import Settings, stated
from dovetail.adapters.files.config import Config
from dovetail.adapters.files.header import HeaderError, Opener
from dovetail.adapters.files.pickle_interpreter import Refused
from dovetail.adapters.formats import formats, twins
from dovetail.adapters.readers.foreign import safe_opener

__all__ = [
    "FORMATS", "NEEDS_BASE", "SOURCES", "VARIANTS", "Conversion", "Settings", "Unconvertible", "convert", "results_of",
    "stated",
]  # fmt: skip

FORMATS = ("peft", "kohya", "diffusers", "mlx", "gguf")  # the same adapter for another library
VARIANTS = ("safetensors", "bin", "fp16", "bf16", "slim", "peft-lora")  # other bytes for the same library
NEEDS_BASE = ("gguf", "slim", "peft-lora")
SOURCES = {  # result → the formats that it is made of
    "peft": ("kohya", "diffusers", "lycoris", "mlx", "loralib"),
    "kohya": ("peft", "diffusers", "lycoris"),
    "diffusers": ("peft", "kohya", "lycoris", "diffusers"),  # the last in the names of other programs
    "mlx": ("peft",),
    "gguf": ("peft", "mlx"),
    "safetensors": ("peft", "adapters"),
    "bin": ("peft", "adapters"),
    "fp16": ("peft", "adapters", "mlx"),
    "bf16": ("peft", "adapters", "mlx"),
    "slim": ("peft",),
    "peft-lora": ("peft",),  # a LoRA of a rank, of any method of PEFT that changes weights
}
KEPT = ("README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "smoke.jsonl")  # beside another format


@dataclass
class Conversion:
    """The files of a derived adapter: those that are rewritten, and those that are copied as they are."""

    to: str
    files: dict[str, peft.Writer]
    copied: dict[str, Opener] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write all files below a folder, which must not hold any of them. Raises `Unconvertible`."""
        for path, writer in {
            **{path: weights.copier(opener) for path, opener in self.copied.items()},
            **self.files,
        }.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                writer(file)

    def facts(self) -> dict[str, object]:
        """Return what changed; complete once the files are written."""
        facts: dict[str, object] = {"to": self.to, "lossless": not self.losses, "files": sorted(self.files)}
        is_cut = self.to == "peft-lora" or self.to in FORMATS  # to a rank
        if self.losses:
            worst = max(self.losses, key=lambda loss: loss.share if is_cut else loss.error)
            facts |= {"largest_error": worst.error, "tensor": worst.tensor, "largest_value": worst.largest}
        if self.losses and is_cut:
            facts["lost"] = by_rank.lost(self.losses)
        return facts


def convert(
    files: Mapping[str, Opener],
    to: str,
    *,
    base: str = "",
    base_files: Mapping[str, Opener] | None = None,
    settings: Settings = Settings(),  # noqa: B008 - it is frozen
    changes: by_rank.Changes | None = None,
) -> Conversion:
    """Return the adapter in another format or variant. Raises `Unconvertible` with the reason and the module's name.

    `base` is the name that a config gets which has none; `base_files` are the base's own: its config for gguf, its
    weights for slim. `settings` say what a format does not, and `changes` what an adapter of
    another method changes, for peft-lora.
    """
    if to in NEEDS_BASE and not base_files:
        raise Unconvertible(f"{to} needs the files of the base: their names and tables decide the result.")
    if to == "peft-lora":
        return _of_rank(files, base_files or {}, settings.rank, changes)
    if to in VARIANTS:
        variant = _variant(files, to, base_files or {})
        kept = {path: opener for path, opener in files.items() if path not in {*variant.replaced, *variant.files}}
        return Conversion(to, variant.files, kept, variant.losses)
    family, loras = read(files, base, settings)
    if to == family and not (to == "diffusers" and _has_other_names(files)):
        raise Unconvertible(f"It is already in the format {to}.")
    if to not in FORMATS:
        raise Unconvertible(f"There is no format {to!r}; there are {', '.join((*FORMATS, *VARIANTS))}.")
    beside = {path: opener for path, opener in files.items() if path in KEPT}
    losses = [loss for lora in loras for loss in lora.losses]
    return Conversion(to, _written(loras, to, base_files or {}), beside, losses)


def _of_rank(
    files: Mapping[str, Opener], base_files: Mapping[str, Opener], rank: int, changes: by_rank.Changes | None
) -> Conversion:
    if changes is None:
        raise Unconvertible("PEFT is needed to compute what the adapter changes, and is not installed here.")
    found = formats.detect(files)
    if not found or found[0][0] != "peft":
        raise Unconvertible("It is not an adapter of PEFT; convert it to peft first.")
    own = _beside(twins.join(files).files, found[0][2])
    config = peft.read_config(own)
    base, base_config = weights.base_tensors(base_files), formats.read_config(base_files, "config.json")
    lora, losses = by_rank.read(peft.read_tensors(own), config, base, base_config, rank, changes)
    beside = {path: opener for path, opener in files.items() if path in KEPT}
    return Conversion("peft-lora", peft.write(lora), beside, losses)


def results_of(family: str, paths: Collection[str]) -> list[str]:
    """Return what may be made of files of a format; whether the tensors allow it is known when it is done."""
    replaced = {"safetensors": (".bin", ".pt"), "bin": (".safetensors",)}
    return [
        to
        for to, families in SOURCES.items()
        if family in families and any(path.endswith(replaced.get(to, "")) for path in paths)
    ]


def read(files: Mapping[str, Opener], base: str = "", settings: Settings | None = None) -> tuple[str, list[Lora]]:
    """Return the format of the files, and the LoRA for each model that they adapt. Raises `Unconvertible`."""
    detected = formats.detect(files)
    if not detected:
        raise Unconvertible("There is no adapter in a known format here.")
    family, _, path = detected[0]
    joined = twins.join(files).files
    try:
        if family == "peft":
            return family, [peft.read(_beside(joined, path))]
        if family == "mlx":
            beside = _beside(joined, path)
            return family, [mlx.read(peft.read_tensors(beside, mlx.FILE), peft.read_config(beside), base)]
        if family in ("kohya", "diffusers", "lycoris"):
            tensors, header = read_lazily(joined[path])
            return family, diffusers.read(tensors, header.metadata, base, settings.rank if settings else 0)
        if family == "loralib":
            tensors, _ = read_lazily(safe_opener(files[path]))
            return family, [loralib.read(tensors, base, settings or Settings())]
    except (HeaderError, Refused) as problem:
        raise Unconvertible(f"{path} cannot be read: {problem}.") from problem
    raise Unconvertible(
        f"It is in the format {family}, which cannot be converted; convertible are {', '.join(FORMATS[:4])}."
    )


def _has_other_names(files: Mapping[str, Opener]) -> bool:
    """Return whether a file of diffusers' family has the names of ComfyUI, of XLabs or of an older diffusers."""
    _, _, path = formats.detect(files)[0]
    return not all(map(diffusers.OWN.fullmatch, read_lazily(twins.join(files).files[path])[0]))


def _beside(files: Mapping[str, Opener], path: str) -> dict[str, Opener]:
    """Return the files in the folder of this one, by the rest of their paths."""
    folder = path.rpartition("/")[0]
    start = f"{folder}/" if folder else ""
    return {name.removeprefix(start): opener for name, opener in files.items() if name.startswith(start)}


def _variant(files: Mapping[str, Opener], to: str, base_files: Mapping[str, Opener]) -> weights.Variant:
    if to == "safetensors":
        return weights.as_safetensors(files)
    if to == "bin":
        return weights.as_pickles(files)
    return weights.without_copies(files, base_files) if to == "slim" else weights.in_precision(files, to)


def _written(loras: list[Lora], to: str, base_files: Mapping[str, Opener]) -> dict[str, peft.Writer]:
    if to == "kohya":
        return kohya.write(loras)
    if to == "diffusers":
        return diffusers.write(loras)
    lora = only(loras, to)
    if to == "peft":
        return peft.write(lora)
    return mlx.write(lora) if to == "mlx" else gguf_writer.write(lora, gguf_writer.base_of(_base_config(base_files)))


def _base_config(files: Mapping[str, Opener]) -> Config:
    if "config.json" not in files:
        raise Unconvertible("The base has no config.json.")
    return formats.read_config(files, "config.json")
