"""Finds the adapters in a repository, describes each by a few facts, and chooses those that a verdict covers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats import formats
from dovetail.adapters.methods import HEAD_TASKS, task_of
from dovetail.adapters.methods.library import kind_of as library_kind_of

WEIGHTS = "adapter_model.safetensors"
PICKLED_WEIGHTS = "adapter_model.bin"
PIPELINE_TAGS = {
    "SEQ_CLS": "text-classification",
    "TOKEN_CLS": "token-classification",
    "QUESTION_ANS": "question-answering",
    "CAUSAL_LM": "text-generation",
    "SEQ_2_SEQ_LM": "text2text-generation",
    "FEATURE_EXTRACTION": "feature-extraction",
    "MASKED_LM": "fill-mask",
    "IMAGE_CLS": "image-classification",
    "CTC": "automatic-speech-recognition",
}


@dataclass(frozen=True, slots=True)
class Description:
    """The facts that an adapter states about itself. Nothing here is proven; None means not stated."""

    format: str  # peft, adapters, diffusers, kohya, lycoris, mlx, gguf, nemo, loralib or unknown
    kind: str | None = None  # the method, in lower case with hyphens: "lora", "prefix-tuning", "bottleneck" ...
    base: str | None = None
    base_revision: str | None = None
    task: str | None = None  # a pipeline tag: "text-classification" ...
    rank: int | None = None
    alpha: float | None = None
    target_modules: tuple[str, ...] = ()  # one item with a pattern when the config holds a pattern
    virtual_tokens: int | None = None
    parameters: int | None = None
    peft_version: str | None = None
    place: str = ""  # the folder it lies in, "" for the top
    also: tuple[str, ...] = ()  # the other formats in the same files, each with the file that identifies it


def describe(files: Mapping[str, Opener]) -> Description | None:
    """Describe the adapter in files (path → function that opens it for reading bytes); None if there is none.

    A config alone is enough; with weights the parameters are counted too. Broken files are described as far as they can
    be read: the checks report their faults. Only the files of `formats.telling` are read, and of them configs, headers
    and the opcodes of pickles. Nothing is executed, and no content raises an exception.
    """
    hits = formats.detect(files)
    if not hits:
        has_files = files.keys() & {configs.NAME, WEIGHTS, PICKLED_WEIGHTS}
        return Description("unknown", parameters=_parameters(files, WEIGHTS)) if has_files else None
    also = tuple(sorted({f"{name} ({where})" for name, _, where in hits[1:] if name != hits[0][0]}))
    return replace(of_found(files, hits[0]), also=also)


def of_found(files: Mapping[str, Opener], hit: formats.Found) -> Description:
    """Describe one of several adapters, by the file that identifies it."""
    family, kind, path = hit
    config = formats.read_config(files, path) if path.endswith(".json") else {}
    described = DESCRIBERS.get(family, _foreign)(files, config, path, kind)
    return replace(described, format=family, place=path.rpartition("/")[0])


def foreign_format(config: configs.Config) -> str:
    """Return the family of a config that is not PEFT's."""
    family = formats.of_config(config)
    return "unknown" if family == "peft" else family


def kind_of(peft_type: str) -> str:
    return peft_type.strip().lower().replace("_", "-")[:40]


def _peft(files: Mapping[str, Opener], config: configs.Config, path: str, _: str) -> Description:
    return Description(
        format="peft",
        kind=kind_of(configs.text(config, "peft_type") or "") or None,
        base=configs.text(config, "base_model_name_or_path"),
        base_revision=configs.text(config, "revision"),
        task=PIPELINE_TAGS.get(task_of(config) or ""),
        rank=configs.whole(config, "r"),
        alpha=configs.number(config, "lora_alpha"),
        target_modules=configs.names(config, "target_modules"),
        virtual_tokens=configs.whole(config, "num_virtual_tokens"),
        parameters=_parameters(files, _beside(path, WEIGHTS)),
        peft_version=configs.text(config, "peft_version"),
    )


def _library(files: Mapping[str, Opener], config: configs.Config, path: str, kind: str) -> Description:
    inner = config.get("config")
    method = inner if isinstance(inner, dict) else {}
    head = formats.read_config(files, _head_path(config, path)).get("config")
    head_type = str(head.get("head_type")) if isinstance(head, dict) else ""
    return Description(
        format="adapters",
        kind=kind or (library_kind_of(method) if config else None),
        base=configs.text(config, "model_name") or (_base_of_parts(files, path) if kind == "composition" else None),
        task=PIPELINE_TAGS.get(HEAD_TASKS.get(head_type, "")),
        rank=configs.whole(method, "r"),
        alpha=configs.number(method, "alpha"),
        virtual_tokens=configs.whole(method, "prompt_length") or configs.whole(method, "prefix_length"),
        parameters=_parameters(files, _beside(path, "adapter.safetensors")),
    )


def _head_path(config: configs.Config, path: str) -> str:
    """Return the path of the head's config: beside the adapter, or in the folder that a set-up names."""
    setup = configs.text(config, "head_setup")
    return _beside(path, f"{setup}/{formats.HEAD_CONFIG}" if setup else formats.HEAD_CONFIG)


def _base_of_parts(files: Mapping[str, Opener], path: str) -> str | None:
    """Return the base of the first adapter in a folder beside a set-up."""
    start = _beside(path, "")
    parts = sorted(name for name in files if name.startswith(start) and name.endswith(f"/{configs.NAME}"))
    names = (configs.text(formats.read_config(files, part), "model_name") for part in parts[: formats.MAX_LOOKED_AT])
    return next((name for name in names if name), None)


def _foreign(files: Mapping[str, Opener], config: configs.Config, path: str, kind: str) -> Description:
    """Describe a format that no engine here runs: base and numbers as far as the files state them."""
    numbers = config.get("lora_parameters")
    return Description(
        format="",
        kind=kind or None,
        base=configs.text(config, "model"),
        rank=configs.whole(numbers, "rank") if isinstance(numbers, dict) else None,
        parameters=_parameters(files, "adapters.safetensors" if path.endswith(".json") else path),
    )


DESCRIBERS = {"peft": _peft, "adapters": _library}


def _beside(path: str, name: str) -> str:
    folder, slash, _ = path.rpartition("/")
    return f"{folder}{slash}{name}"


def _parameters(files: Mapping[str, Opener], path: str) -> int | None:
    if path not in files or not path.endswith(".safetensors"):
        return None
    with files[path]() as file:
        header = formats.read_header(file)
    return header.parameters if header else None


MAX_JUDGED = 8  # the check file.ambiguous reports more


@dataclass(frozen=True, slots=True)
class Content:
    """One adapter in a repository. `path` is its folder, "" for the top; of a file without a config, the file."""

    path: str
    format: str
    kind: str
    folder: str


def contents(files: Mapping[str, Opener]) -> list[Content]:
    """Return every adapter in the files that are looked at, nearest to the top first."""
    by_path: dict[str, Content] = {}
    for hit in formats.detect(files):
        folder, _, name = hit[2].rpartition("/")
        path = folder if name in formats.CONFIGS else hit[2]
        if path not in by_path:
            by_path[path] = Content(path, hit[0], of_found(files, hit).kind or "", folder)
    return list(by_path.values())


def judged(all_contents: Sequence[Content]) -> list[str]:
    """Return the folders that a verdict covers, all of which must pass; the others are only listed.

    An adapter at the top decides alone. Without one, the folders nearest to the top decide together. Checkpoints of a
    training only count without a finished adapter beside them, and then the last one decides.
    """
    folders = list(dict.fromkeys(content.folder for content in all_contents))
    if not folders or "" in folders:
        return [""]
    depth = min(folder.count("/") for folder in folders)
    near = [folder for folder in folders if folder.count("/") == depth]
    finished = [folder for folder in near if formats.steps_of(folder) == formats.MAX_STEPS]
    return finished[:MAX_JUDGED] or [max(near, key=formats.steps_of)]


def within(files: Mapping[str, Opener], folder: str) -> dict[str, Opener]:
    """Return the files with paths relative to a folder, "" for the top; other files keep their paths.

    Weights and configs outside the folder get a path with "..": a loader would not find them in the folder.
    """
    if not folder:
        return dict(files)
    start, up = f"{folder}/", "../" * (folder.count("/") + 1)
    outside = {path: opener for path, opener in files.items() if not path.startswith(start)}
    own = {path.removeprefix(start): opener for path, opener in files.items() if path.startswith(start)}
    return {**{up + path if formats.tells(path) else path: opener for path, opener in outside.items()}, **own}
