"""Recognises the family of a set of adapter files, by content and never by a name alone; it checks nothing.

A file of weights is recognised by the names and shapes of its tensors and its metadata.
"""

import re
import tarfile
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import BinaryIO

from dovetail.adapters.files import archives, gguf, pickles, torchfile
from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import Header, HeaderError, Opener
from dovetail.adapters.files.pickle_imports import Pickle
from dovetail.adapters.files.pickle_interpreter import Refused

KOHYA = re.compile(r"(?:lora|lycoris)_(?:unet|te\d?|transformer|prior|prompt|clip|t5|llm|llama)_|lycoris_")
LYCORIS = re.compile(
    r"\.(?:hada_w|hada_t|lokr_w|lokr_t|oft_blocks|oft_diag|lora_mid|on_input|diff$|diff_b$|w_norm$|b_norm$|[ab][12]\.weight$)"
)
PRODUCTS = re.compile(r"(?:unet|transformer|diffusion_model|text_encoders?)\..*\.(?:hada_w|lokr_w|oft_blocks|oft_diag)")
# Parts of a pipeline as diffusers calls them (a GPT has "transformer.h"), and the one of ComfyUI and ai-toolkit.
PIPELINE = re.compile(
    r"(?:unet|transformer(?:_2)?(?!\.h\.)|diffusion_model|text_encoders?(?:_\d)?|prior|vae)\."
    # Attention processors, of diffusers before 0.22 and of XLabs' trainer for Flux.
    r"|(?:(?:down|up)_blocks\.\d+|mid_block|(?:double|single)_blocks\.\d+)\.(?:.+\.)?processor\."
)
# Modules of one model of a pipeline, without its name: diffusers and PEFT save a model alone so.
BARE = re.compile(
    r"(?:(?:down|up)_blocks\.\d+|mid_block)\.(?:attentions|resnets|(?:down|up)samplers)\."
    r"|(?:single_)?transformer_blocks\.\d+\.|(?:double|single)_blocks\.\d+\.(?!processor\.)"
)
LORA = re.compile(r"lora", re.IGNORECASE)
LIBRARY = re.compile(
    r"\.(?:\w*adapters|prefix_tunings|prefix_gates|loras|refts|prompt_tunings|shared_parameters)\.[^.]+\."
)
MLX = re.compile(r"\.lora_[ab]$")
LORALIB = re.compile(r"\.lora_[AB]$")
LITGPT = re.compile(r"(?:.*\.)?transformer\.h\.\d+\.(?:attn|mlp)\.(?:attn|qkv|proj|fc|fc_1|fc_2)\.lora_[AB]")
IP_ADAPTER = re.compile(r"(?:ip_adapter|image_proj|ip_adapter_proj_model)\..*|.*\.(?:to_[kv]_ip|ip_adapter_\w+)\..*")
# New words: of diffusers by the word itself, of the WebUI and of ComfyUI by the text encoder.
EMBEDDINGS = re.compile(r"emb_params|clip_[lg]|t5xxl|text_encoders_\d|<[^<>]+>|(?:.*\.)?string_to_param\..*")
STEERING = re.compile(r"(?:.*[._-])?(?:layers?|steering|vectors?|resid\w*|v)?[._-]?\d+(?:[._-](?:vector|direction))?")
MIN_WIDTH = 16  # of a hidden state: shorter ones are no vectors to steer by

KINDS = (("hada_", "loha"), ("lokr_", "lokr"), ("oft_", "oft"), (".b1.weight", "glora"))  # of LyCORIS, by a part

Shapes = Mapping[str, tuple[int, ...]]


def of_tensors(names: Iterable[str], metadata: Mapping[str, str], shapes: Shapes | None = None) -> tuple[str, str]:
    """Return family and kind of a file without a config, by its tensors' names; ("", "") for a model.

    With `shapes` (name → shape) vectors are recognised as well: their names say little.
    """
    names = list(names)
    is_kohya = metadata_of_kohya(metadata) or any(map(KOHYA.match, names))
    if any(map(LYCORIS.search, names)) and (is_kohya or any(map(PRODUCTS.match, names))):
        return "lycoris", _lycoris(names)
    if names and all(map(EMBEDDINGS.fullmatch, names)):
        return "textual-inversion", "textual-inversion"
    if any(map(IP_ADAPTER.fullmatch, names)):
        return "ip-adapter", "ip-adapter"
    if any(map(KOHYA.match, names)):
        return "kohya", "lora"
    of_pipeline = (name for name in names if PIPELINE.match(name) or BARE.match(name))
    if "lora_adapter_metadata" in metadata or any(map(LORA.search, of_pipeline)):
        return "diffusers", "lora"
    if is_kohya:  # by its notes alone, which ai-toolkit writes as well, under other names
        return "kohya", "lora"
    return _of_text(names, shapes or {})


def _of_text(names: list[str], shapes: Shapes) -> tuple[str, str]:
    """Return family and kind of a file for models of text."""
    if any(name.startswith("base_model.model.") for name in names):
        return "peft", ""
    if any(map(LIBRARY.search, names)):
        return "adapters", ""
    if any(map(MLX.search, names)):
        return "mlx", "lora"
    if any(map(LITGPT.fullmatch, names)):
        return "litgpt", "lora"
    if any(map(LORALIB.search, names)):
        return "loralib", "lora"
    return ("steering-vector", "steering-vector") if _are_vectors(names, shapes) else ("", "")


def _are_vectors(names: list[str], shapes: Shapes) -> bool:
    """Return whether there is one vector of the same width for each of some layers, and nothing else."""
    widths = {
        max(shape, default=0) if shape and min(sorted(shape)[:-1] or [1]) == 1 else 0 for shape in shapes.values()
    }
    is_named = all(STEERING.fullmatch(name) for name in names)
    return bool(names) and is_named and len(widths) == 1 and min(widths) >= MIN_WIDTH


def metadata_of_kohya(metadata: Mapping[str, str]) -> bool:
    return any(key.startswith("ss_network_") or key == "ss_base_model_version" for key in metadata)


def _lycoris(names: Iterable[str]) -> str:
    text = " ".join(names)
    return next((kind for part, kind in KINDS if part in text), "locon")


MAX_LOOKED_AT = 24
MAX_PICKLE_BYTES = 64 * 2**20
WAITING = 2**28  # the work for all pickles and archives together, as somebody may wait: some seconds
MAX_VECTOR_BYTES = 8 * 2**20  # of a pickle that only its tensors tell: all of it is read
PEFT_FILES = ("adapter_model.safetensors", "adapter_model.bin")
LIBRARY_FILES = ("adapter.safetensors", "pytorch_adapter.bin")
MLX_FILES = ("adapters.safetensors", "adapters.npz")  # the latter of mlx-lm's first releases
COMPOSED = ("adapter_setup.json", "adapter_fusion_config.json")
CONFIGS = (configs.NAME, *COMPOSED)
HEAD_CONFIG = "head_config.json"
CHECKPOINT, MAX_STEPS = re.compile(r"(?:.*/)?checkpoint-(\d{1,12})"), 10**12
PICKLES = (".bin", ".pt", ".ckpt", ".pth")
WEIGHTS = (*PICKLES, ".safetensors", ".gguf", ".nemo", ".lora", ".sft", archives.SUFFIX)
WITH_CONFIG = ("peft", "adapters")  # families that load only files of their own names, with a config beside them

Found = tuple[str, str, str]  # the format, the kind ("" if the files do not state it), the file that identifies it


def of_config(config: configs.Config) -> str:
    """Return the family of an adapter_config.json; three families use this file name."""
    if configs.text(config, "peft_type"):
        return "peft"
    if isinstance(config.get("config"), dict) and {"model_class", "model_type"} & config.keys():
        return "adapters"
    return "mlx" if {"lora_parameters", "fine_tune_type"} & config.keys() else "unknown"


def tells(path: str) -> bool:
    """Return whether a file of this name may be a part of an adapter."""
    return path.endswith(WEIGHTS) or _name(path) in (*CONFIGS, HEAD_CONFIG)


def folder_of(path: str) -> str:
    """Return the folder of an adapter that is named by its folder, or by its file where it has no config."""
    return path.rpartition("/")[0] if tells(path) else path


def telling(paths: Iterable[str]) -> list[str]:
    """Return the few paths whose content may identify a format, those at the top first; a suffix may be missing."""
    candidates = (path for path in paths if tells(path) or "." not in _name(path))
    # Configs first: they are cheap to read and decide.
    return sorted(candidates, key=lambda path: (path.count("/"), not path.endswith(".json"), _is_late(path), path))[
        :MAX_LOOKED_AT
    ]


def _is_late(path: str) -> int:
    """Sort key: what may be a pickle, then what may be anything."""
    return 2 if "." not in _name(path) else int(path.endswith((*PICKLES, ".lora")))


def detect(files: Mapping[str, Opener]) -> list[Found]:
    """Return every format in the files, the deciding one first: nearest to the top, and compositions before others."""
    paths = telling(files)
    hits = [hit for path in paths if _name(path) in CONFIGS for hit in _by_config(files, path)]
    covered = {path.rpartition("/")[0] for _, _, path in hits}
    alone, budget = [path for path in paths if not path.endswith(".json")], archives.Budget(WAITING)
    for path in alone:
        # Pickles last, and only if nothing else identifies a format: scanning one takes time.
        if not (path.rpartition("/")[0] in covered and _is_of_config(path)) and not (hits and _is_late(path)):
            with files[path]() as file:
                content = [(name, kind, path) for name, kind in _by_content(path, file, budget) if name]
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
    return name in (*PEFT_FILES, *LIBRARY_FILES, *MLX_FILES) or name.startswith(
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


def _by_content(path: str, file: BinaryIO, budget: archives.Budget) -> Iterator[tuple[str, str]]:
    """Yield family and kind of a file, if its bytes are those of weights; its name may be any."""
    form = form_of(file)
    if form == "safetensors":
        header = read_header(file)
        if header:
            shapes = {name: tensor.shape for name, tensor in header.tensors.items()}
            yield of_tensors(header.tensors, header.metadata, shapes)
    elif form == "gguf":
        yield _of_gguf(file)
    elif path.endswith(archives.SUFFIX):
        if _is_of_mlx(file):
            yield "mlx", "lora"
    elif path.endswith(".nemo"):
        if _is_nemo(file):
            yield "nemo", "lora"
    elif (form == "pickle" or path.endswith(PICKLES)) and file.seek(0, 2) <= MAX_PICKLE_BYTES:
        file.seek(0)
        pickle = pickles.read(path, file, budget)
        if pickle:
            file.seek(0)
            yield _of_pickle(pickle, file)


def form_of(file: BinaryIO) -> str:
    """Return the form of a file by its first bytes: safetensors, gguf, pickle, or "" for another one."""
    start = file.read(9)
    file.seek(0)
    if start[:4] == gguf.MAGIC:
        return "gguf"
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") <= headers.MAX_HEADER_BYTES:
        return "safetensors"
    return "pickle" if start[:4] == pickles.ZIP or (start[:1] == b"\x80" and len(start) > 2) else ""


def _of_pickle(pickle: Pickle, file: BinaryIO) -> tuple[str, str]:
    """Return family and kind by the texts in a pickle, else by its tensors, whose names may be numbers."""
    if {"image_proj", "ip_adapter"} <= pickle.texts:
        return "ip-adapter", "ip-adapter"
    if "string_to_param" in pickle.texts:
        return "textual-inversion", "textual-inversion"
    family, kind = of_tensors(pickle.texts, {})
    if family or not pickle.only_tensors or file.seek(0, 2) > MAX_VECTOR_BYTES:
        return family, kind
    try:
        tensors = torchfile.read(file, nested=True)
    except Refused:
        return "", ""
    return of_tensors(tensors, {}, {name: tensor.shape for name, tensor in tensors.items()})


def _of_gguf(file: BinaryIO) -> tuple[str, str]:
    """Return family and kind of a GGUF file; one of an old converter tells its type by its tensors alone."""
    facts = gguf.read(file)
    if facts.get("general.architecture") == "controlvector":
        return "control-vector", "control-vector"
    if facts.get("general.type") == "adapter":
        return "gguf", facts.get("adapter.type", "lora")[:32]
    file.seek(0)
    try:
        names = gguf.read_whole(file).tensors
    except gguf.GgufError:
        return "", ""
    return ("gguf", "lora") if names and all(name.endswith((".lora_a", ".lora_b")) for name in names) else ("", "")


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


def _is_of_mlx(file: BinaryIO) -> bool:
    """Return whether an archive of numpy has the names of an adapter of MLX; others may hold any numbers."""
    try:
        return of_tensors(archives.read(file).tensors, {})[0] == "mlx"
    except HeaderError:
        return False


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
