"""The content of a repository without an adapter: told by the first bytes of its files, guessed by names alone."""

import re
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import gguf, pickles
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.archives import Budget
from dovetail.adapters.files.header import HeaderError, NotGathered, Opener, Pointer
from dovetail.adapters.formats import formats

# The first that matches a file's own name; nothing of these is loaded, fitted or proven here.
KINDS = tuple(
    (re.compile(pattern, re.IGNORECASE), content)
    for pattern, content in (
        (r"learned_embeds(?:-.*)?\.(?:safetensors|bin)", "a textual inversion"),
        (r"ip[-_]?adapter.*\.(?:safetensors|bin)", "an IP-Adapter"),
        (r"lit_model\.pth\.lora|lit_model_.*lora.*\.pth", "a LoRA of LitGPT"),
        (r".*(?:control|steering)[-_]?vectors?.*\.(?:gguf|safetensors|pt|npz)", "a control or steering vector"),
        (
            r"(?:model|pytorch_model|tf_model|flax_model)(?:-\d+-of-\d+)?\.(?:safetensors|bin|h5|msgpack)",
            "a full model",
        ),
        (r"consolidated.*\.(?:safetensors|pth)|lit_model\.pth|diffusion_pytorch_model\.safetensors", "a full model"),
        (r".*\.gguf", "a model in GGUF that does not say it is an adapter"),
    )
)
WAYS = {
    "a full model": "Push what PeftModel.save_pretrained() writes: adapter_config.json and adapter_model.safetensors.",
    "a LoRA of LitGPT": "Convert it with litgpt convert lora, or push the PEFT adapter.",
    "an adapter without its config": "Push the adapter_config.json that save_pretrained() wrote beside the weights, "
    "and call these adapter_model.safetensors, as it does.",
    "a pointer": "Push the file itself: git lfs push --all, or huggingface_hub.upload_file().",
    "not gathered": "Set stage3_gather_16bit_weights_on_model_save to true and save again, or gather the checkpoint "
    "with its zero_to_fp32.py.",
}
MAX_TOLD = 5  # files in one sentence
MAX_PICKLE_BYTES = 4 * 2**20
OWNERS = {"peft": "PEFT", "adapters": "the adapters library"}
Sight = tuple[str, str]  # what a file is, as the end of a sentence, and the key of a way out, "" for none


def told(files: Mapping[str, Opener]) -> tuple[str, str]:
    """Return sentences about the files that could be weights, each with why it is no adapter, and the way out.

    Reads the beginning of at most `formats.MAX_LOOKED_AT` files; ("", "") if none of them says anything.
    """
    budget = Budget(formats.WAITING)
    sights = [
        (path, sight) for path in _candidates(files) if (sight := _of_file(path, files[path], budget) or _by_name(path))
    ]
    if not sights:
        return sighted(files) or ("", "")
    sentences = [f"{path[:120]} is {what}." for path, (what, _) in sights[:MAX_TOLD]]
    more = f" And {len(sights) - MAX_TOLD} more." if len(sights) > MAX_TOLD else ""
    way = next((WAYS[key] for _, (_, key) in sights if key in WAYS), "")
    return " ".join(sentences) + more, way


def _candidates(files: Mapping[str, Opener]) -> list[str]:
    beside = [path for path in files if path.rpartition("/")[2] == "config.json" or path.endswith(".index.json")]
    return [*formats.telling(files), *beside[:MAX_TOLD]]


def _of_file(path: str, opener: Opener, budget: Budget) -> Sight | None:
    """Return what a file is by its bytes; None for one that says nothing."""
    with opener() as file:
        form = formats.form_of(file)
        if path.endswith(".json"):
            return _of_json(path, file)
        if form == "gguf":
            architecture = gguf.read(file).get("general.architecture", "")[:40]
            return f"a model in GGUF, with the architecture {architecture or 'not stated'}", ""
        if form == "safetensors" or path.endswith(".safetensors"):
            return _of_safetensors(file)
        return _of_pickle(path, file, budget) if form == "pickle" or path.endswith(formats.PICKLES) else None


def _by_name(path: str) -> Sight | None:
    """Return what a file seems to be by its name."""
    content = next((content for pattern, content in KINDS if pattern.fullmatch(path.rpartition("/")[2])), None)
    return (f"by its name {content}", content) if content else None


def _of_json(path: str, file: BinaryIO) -> Sight | None:
    try:
        config = configs.read(file)
    except configs.ConfigError:
        return None
    if isinstance(table := config.get("weight_map"), dict):
        return f"the index of {len(set(map(str, table.values()))):,} files with {len(table):,} tensors", ""
    names = configs.names(config, "architectures")
    return (f"the config of a full model, {names[0][:60]}", "a full model") if names else None


def _of_safetensors(file: BinaryIO) -> Sight | None:
    try:
        header = headers.read(file)
    except Pointer as problem:
        return str(problem).removeprefix("it is "), "a pointer"
    except NotGathered as problem:
        return f"safetensors that were not gathered: {problem}", "not gathered"
    except HeaderError as problem:
        return f"not a valid safetensors file: {problem}", ""
    shapes = {name: tensor.shape for name, tensor in header.tensors.items()}
    return _of_names(header.tensors, shapes, f"{len(header.tensors):,} tensors, {header.parameters:,} values")


def _of_pickle(path: str, file: BinaryIO, budget: Budget) -> Sight | None:
    if file.read(len(headers.POINTER)) == headers.POINTER:
        return "a Git LFS pointer whose file was not pushed", "a pointer"
    if file.seek(0, 2) > MAX_PICKLE_BYTES:  # it is read while somebody waits
        return None
    file.seek(0)
    pickle = pickles.read(path, file, budget)
    return _of_names(pickle.texts, {}, "a pickle of tensors") if pickle and pickle.only_tensors else None


def _of_names(names: Iterable[str], shapes: Mapping[str, tuple[int, ...]], size: str) -> Sight | None:
    names = list(names)
    family = formats.of_tensors(names, {}, shapes)[0]
    if family in OWNERS:
        return f"an adapter of {OWNERS[family]} without its config ({size})", "an adapter without its config"
    if not family and any(name.endswith(".weight") for name in names):
        return f"a full model or a part of one ({size}; no tensor belongs to an adapter)", "a full model"
    return None


def sighted(paths: Iterable[str]) -> tuple[str, str] | None:
    """Return a sentence about the first file of a known kind and the way out ("" for none); None if no file tells."""
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        if sight := _by_name(path):
            return f"By its name {path[:120]} is {sight[1]}.", WAYS.get(sight[1], "")
    return None
