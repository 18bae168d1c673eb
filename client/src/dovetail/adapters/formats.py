"""Recognises the family of a set of adapter files, by content and never by a name alone; it checks nothing."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import BinaryIO

from dovetail.adapters import config as configs
from dovetail.adapters import gguf, pickles
from dovetail.adapters import header as headers
from dovetail.adapters.header import Header, HeaderError, Opener

MAX_LOOKED_AT = 24
MAX_PICKLE_BYTES = 64 * 2**20
PEFT_FILES = ("adapter_model.safetensors", "adapter_model.bin")
LIBRARY_FILES = ("adapter.safetensors", "pytorch_adapter.bin")
COMPOSED = ("adapter_setup.json", "adapter_fusion_config.json")
CONFIGS = (configs.NAME, *COMPOSED)
HEAD_CONFIG = "head_config.json"
CHECKPOINT, MAX_STEPS = re.compile(r"(?:.*/)?checkpoint-(\d{1,12})"), 10**12
PICKLES = (".bin", ".pt", ".ckpt", ".pth")
WITH_CONFIG = ("peft", "adapters")  # families that load only files of their own names, with a config beside them

KOHYA = re.compile(r"lora_(?:unet|te\d?|transformer|prior|prompt)_")
LYCORIS = re.compile(
    r"\.(?:hada_w|hada_t|lokr_w|lokr_t|oft_blocks|oft_diag|lora_mid|on_input|diff$|diff_b$|w_norm$|b_norm$|[ab][12]\.weight$)"
)
PIPELINE = re.compile(r"(?:unet|transformer|diffusion_model|text_encoder(?:_\d)?|prior|vae)\.")
LORA = re.compile(r"lora", re.IGNORECASE)
LIBRARY = re.compile(
    r"\.(?:\w*adapters|prefix_tunings|prefix_gates|loras|refts|prompt_tunings|shared_parameters)\.[^.]+\."
)
MLX = re.compile(r"\.lora_[ab]$")
LORALIB = re.compile(r"\.lora_[AB]$")

Found = tuple[str, str, str]  # the format, the kind ("" if the files do not state it), the file that identifies it


def of_config(config: configs.Config) -> str:
    """Return the family of an adapter_config.json; three families use this file name."""
    if configs.text(config, "peft_type"):
        return "peft"
    if isinstance(config.get("config"), dict) and {"model_class", "model_type"} & config.keys():
        return "adapters"
    return "mlx" if {"lora_parameters", "fine_tune_type"} & config.keys() else "unknown"


def of_tensors(names: Iterable[str], metadata: Mapping[str, str]) -> tuple[str, str]:
    """Return family and kind of a safetensors file without a config, by its tensors' names; ("", "") for a model."""
    names = list(names)
    if any(LYCORIS.search(name) for name in names) and (metadata_of_kohya(metadata) or any(map(KOHYA.match, names))):
        return "lycoris", _lycoris(names)
    if any(map(KOHYA.match, names)) or metadata_of_kohya(metadata):
        return "kohya", "lora"
    if "lora_adapter_metadata" in metadata or any(PIPELINE.match(name) and LORA.search(name) for name in names):
        return "diffusers", "lora"
    if any(name.startswith("base_model.model.") for name in names):
        return "peft", ""
    if any(map(LIBRARY.search, names)):
        return "adapters", ""
    if any(map(MLX.search, names)):
        return "mlx", "lora"
    return ("loralib", "lora") if any(map(LORALIB.search, names)) else ("", "")


def metadata_of_kohya(metadata: Mapping[str, str]) -> bool:
    return any(key.startswith("ss_network_") or key == "ss_base_model_version" for key in metadata)


def _lycoris(names: Iterable[str]) -> str:
    text = " ".join(names)
    return next(
        (kind for part, kind in (("hada_", "loha"), ("lokr_", "lokr"), ("oft_", "oft")) if part in text), "locon"
    )


def tells(path: str) -> bool:
    """Return whether a file of this name may be a part of an adapter."""
    return path.endswith((*PICKLES, ".safetensors", ".gguf", ".nemo")) or _name(path) in (*CONFIGS, HEAD_CONFIG)


def telling(paths: Iterable[str]) -> list[str]:
    """Return the few paths whose content identifies a format, those at the top first."""
    candidates = filter(tells, paths)
    # Configs first: they are cheap to read and decide.
    return sorted(
        candidates, key=lambda path: (path.count("/"), not path.endswith(".json"), path.endswith(PICKLES), path)
    )[:MAX_LOOKED_AT]


def detect(files: Mapping[str, Opener]) -> list[Found]:
    """Return every format in the files, the deciding one first: nearest to the top, and compositions before others."""
    paths = telling(files)
    hits = [hit for path in paths if _name(path) in CONFIGS for hit in _by_config(files, path)]
    covered = {path.rpartition("/")[0] for _, _, path in hits}
    alone = [path for path in paths if not path.endswith(".json")]
    for path in alone:
        # Pickles last, and only if nothing else identifies a format: scanning one takes time.
        if not (path.rpartition("/")[0] in covered and _is_of_config(path)) and not (hits and path.endswith(PICKLES)):
            with files[path]() as file:
                content = [(name, kind, path) for name, kind in _by_content(path, file) if name]
            hits += [hit for hit in content if not _is_stray(hit, covered)]
    return sorted(hits, key=_nearness)


def _nearness(candidate: Found) -> tuple[int, bool, int]:
    """Sort key: nearest to the top first, then compositions, and checkpoints of a training last."""
    _, kind, path = candidate
    return path.count("/"), kind not in ("composition", "fusion"), -steps_of(path.rpartition("/")[0])


def steps_of(folder: str) -> int:
    """Return the number of a checkpoint's folder; more than any for a folder of another name."""
    match = CHECKPOINT.fullmatch(folder)
    return int(match[1]) if match else MAX_STEPS


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_stray(candidate: Found, covered: Container[str]) -> bool:
    """Return whether a file holds an adapter's tensors but has no config and a name that no library looks for."""
    family, _, path = candidate
    return family in WITH_CONFIG and path.rpartition("/")[0] not in covered and not _is_of_config(path)


def _is_of_config(path: str) -> bool:
    """Return whether a file holds the weights that belong to the config beside it."""
    name = _name(path)
    return name in (*PEFT_FILES, *LIBRARY_FILES, "adapters.safetensors") or name.startswith(
        ("pytorch_model_head", "model_head", "pytorch_model_adapter_fusion", "model_adapter_fusion", "adapter_model-")
    )


def _by_config(files: Mapping[str, Opener], path: str) -> Iterator[Found]:
    name = _name(path)
    if name in COMPOSED:
        yield "adapters", "composition" if name == COMPOSED[0] else "fusion", path
        return
    family = of_config(read_config(files, path))
    beside = f"{path.rpartition('/')[0]}/".lstrip("/")
    if family != "unknown" or any(beside + weights in files for weights in PEFT_FILES) or beside == "":
        yield family, "lora" if family == "mlx" else "", path


def read_config(files: Mapping[str, Opener], path: str = configs.NAME) -> configs.Config:
    """Return the config, or {} if it cannot be read: the check config.invalid reports the fault."""
    if path not in files:
        return {}
    try:
        with files[path]() as file:
            return configs.read(file)
    except configs.ConfigError:
        return {}


def _by_content(path: str, file: BinaryIO) -> Iterator[tuple[str, str]]:
    if path.endswith(".safetensors"):
        header = read_header(file)
        if header:
            yield of_tensors(header.tensors, header.metadata)
    elif path.endswith(".gguf"):
        facts = gguf.read(file)
        if facts.get("general.type") == "adapter":
            yield "gguf", facts.get("adapter.type", "lora")[:32]
    elif path.endswith(".nemo"):
        if _is_nemo(file):
            yield "nemo", "lora"
    elif file.seek(0, 2) <= MAX_PICKLE_BYTES:
        file.seek(0)
        pickle = pickles.read(path, file)
        if pickle:
            yield of_tensors(pickle.texts, {})


def read_header(file: BinaryIO) -> Header | None:
    """Return the header, also of a file truncated after it; None if there is none, which file.header reports."""
    try:
        return headers.read(file)
    except HeaderError:
        file.seek(0)
    try:
        return headers.read_alone(file.read(headers.MAX_HEADER_BYTES))
    except HeaderError:
        return None


def _is_nemo(file: BinaryIO) -> bool:
    """Return whether a file is a tar with NeMo's weights; a compressed one counts as such, since it is not unpacked."""
    if file.read(2) == b"\x1f\x8b":
        return True
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            for _ in range(MAX_LOOKED_AT):
                member = archive.next()
                if member is None:
                    return False
                if member.name.rpartition("/")[2] in ("model_weights.ckpt", "model_config.yaml"):
                    return True
    except (tarfile.TarError, ValueError, OSError):
        return False
    return False
