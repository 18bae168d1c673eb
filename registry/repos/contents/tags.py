"""Derive tags, library and base of a revision from its files first and its card second; reads nothing itself.

The order and the vocabulary are those of the Hub, so that clients find what they look for. Files win over the card:
`PeftModel.push_to_hub` writes a card that says `library_name: transformers` and names no base.
"""

import re
from collections.abc import Iterable, Iterator

from dovetail.adapters import Description
from registry.kernel.texts.plain_yaml import Value
from registry.repos.contents.card import Card

LIBRARIES = frozenset(
    {"peft", "adapter-transformers", "diffusers", "transformers", "sentence-transformers", "gguf", "mlx", "setfit"}
)
FILE_TYPES = {".safetensors": "safetensors", ".bin": "pytorch", ".gguf": "gguf", ".onnx": "onnx"}
KINDS = ("pipeline_tag", "library", "license", "language", "dataset", "base_model", "arxiv", "other")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?")
_SHORT_WORDS = frozenset({"ia3", "oft", "llm", "nlp", "sft", "dpo", "trl", "rag", "gpt", "moe", "vlm"})
_TASK_WORDS = """
    audio-classification automatic-speech-recognition feature-extraction fill-mask image-classification
    image-segmentation image-text-to-text image-to-image image-to-text object-detection question-answering
    sentence-similarity summarization table-question-answering text-classification text-generation text-ranking
    text-to-image text-to-speech text-to-video text2text-generation token-classification translation
    visual-question-answering zero-shot-classification
"""
TASKS = tuple(_TASK_WORDS.split())
RELATIONS = frozenset({"adapter", "finetune", "merge", "quantized"})
_FORMAT_LIBRARIES = {
    "peft": "peft", "adapters": "adapter-transformers", "mlx": "mlx", "diffusers": "diffusers", "kohya": "diffusers",
    "lycoris": "diffusers", "gguf": "gguf", "nemo": "nemo",
}  # fmt: skip
_TELLTALE_FILES = {
    "pytorch_lora_weights.safetensors": "diffusers",
    "model_index.json": "diffusers",
    "config.json": "transformers",
}
# Values under these keys of a dataset's card become tags `key:value`.
OF_DATASETS = """
    annotations_creators benchmark language_creators language multilinguality size_categories source_datasets
    task_categories task_ids
""".split()  # noqa: SIM905  # a list of words reads better without quotes
_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})")


def kind_of(tag: str) -> str:
    """Return the kind of a tag, one of KINDS, by its spelling alone: a tag that looks like a language counts as one."""
    prefix = tag.partition(":")[0]
    if prefix != tag and prefix in KINDS:
        return prefix
    if tag in LIBRARIES or tag in FILE_TYPES.values():
        return "library"
    if tag in TASKS:
        return "pipeline_tag"
    return "language" if _LANGUAGE.fullmatch(tag) and tag not in _SHORT_WORDS else "other"


def is_model_id(text: str) -> bool:
    """Return whether this names a model on a hub; a local path does not, and would reveal a home folder."""
    return _MODEL_ID.fullmatch(text) is not None


def library_of(card: Card, description: Description | None, paths: Iterable[str]) -> str:
    """Return the library that loads these files, or ""."""
    if description is not None and description.format in _FORMAT_LIBRARIES:
        return _FORMAT_LIBRARIES[description.format]
    if card.library:
        return card.library
    stated = next((tag for tag in card.tags if tag in LIBRARIES), "")
    return stated or next((_TELLTALE_FILES[path] for path in paths if path in _TELLTALE_FILES), "")


def base_models_of(card: Card, description: Description | None) -> list[str]:
    """Return the ids of the base models: those of the card, else the one in the adapter's config."""
    stated = [name for name in _words(card.data.get("base_model")) if is_model_id(name)]
    if stated or description is None or not description.base:
        return stated
    return [description.base] if is_model_id(description.base) else []


def arxiv_ids(text: str) -> list[str]:
    """Return the papers that a card links to."""
    return list(dict.fromkeys(_ARXIV.findall(text)))[:20]


def derive_tags(
    card: Card,
    description: Description | None,
    paths: Iterable[str],
    *,
    task: str,
    papers: Iterable[str],
    type: str = "model",
) -> list[str]:
    """Return every tag once: library, card tags, file types, method, task, languages, datasets, bases, license …"""
    paths = list(paths)
    tags = [library_of(card, description, paths), *(tag for tag in card.tags if _is_honest(tag)), *_file_types(paths)]
    tags += [description.kind or "" if description else "", task]
    tags += _of_a_dataset(card) if type == "dataset" else card.languages
    tags += [f"dataset:{name}" for name in card.datasets]
    tags += _base_tags(card, description)
    tags += [f"license:{card.license}"] if card.license else []
    tags += [f"arxiv:{paper}" for paper in papers]
    tags += ["co2_eq_emissions"] if card.data.get("co2_eq_emissions") else []  # clients ask for these alone
    return list(dict.fromkeys(tag for tag in tags if tag))


def _of_a_dataset(card: Card) -> list[str]:
    return [f"{key}:{value}" for key in OF_DATASETS for value in _words(card.data.get(key))]


def _base_tags(card: Card, description: Description | None) -> Iterator[str]:
    bases = base_models_of(card, description)
    relation = str(card.data.get("base_model_relation"))
    if relation not in RELATIONS:
        relation = "adapter" if description is not None else "merge" if len(bases) > 1 else "finetune"
    for name in bases:
        yield f"base_model:{name}"
        yield f"base_model:{relation}:{name}"


def _is_honest(tag: str) -> bool:
    # peft writes base_model:adapter:<whatever was loaded> into the card, even a folder in somebody's home.
    return not tag.startswith("base_model:") or is_model_id(tag.rpartition(":")[2])


def _file_types(paths: Iterable[str]) -> list[str]:
    return sorted({kind for path in paths for suffix, kind in FILE_TYPES.items() if path.endswith(suffix)})


def _words(value: Value) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]
