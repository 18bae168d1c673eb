"""Facts that a revision's files state: card, adapter, tags, library and base; read from the store and not validated.

Tags come from the files first and the card second. Their order and vocabulary are those of the Hub, so that clients
find what they look for. Files win over the card: `PeftModel.push_to_hub` writes a card that says
`library_name: transformers` and names no base.
"""

import io
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, BinaryIO, cast

import yaml

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import HeaderError, Opener, SeekableFile
from dovetail.adapters.formats import formats
from dovetail.adapters.formats.description import WEIGHTS, Description, describe, within
from dovetail.adapters.readers import usage_facts
from dovetail.adapters.readers.library import WEIGHTS as LIBRARY_WEIGHTS
from dovetail.adapters.results.usage import AdapterUsage
from dovetail.adapters.shapes import trainer_facts, trainer_settings
from dovetail.adapters.shapes.trainer_facts import Training
from registry.bytes.blobs import BlobMissing, Keys, lost_object, object_exists, store
from registry.kernel.errors import StoreUnavailable
from registry.kernel.texts import plain_yaml
from registry.repos.contents.card import MAX_CARD_BYTES, Card, parse_card
from registry.repos.manifest import Entry

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
    "peft": "peft",
    "adapters": "adapter-transformers",
    "mlx": "mlx",
    "diffusers": "diffusers",
    "kohya": "diffusers",
    "lycoris": "diffusers",
    "gguf": "gguf",
    "nemo": "nemo",
}
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


def _words(value: plain_yaml.Value) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]


logger = logging.getLogger(__name__)
README = "README.md"
OF_IMAGES = ("diffusers", "kohya", "lycoris")  # formats whose trainers state trigger words
MAX_TEXT = 64 << 10  # bytes of a README whose text is kept with the facts


@dataclass(frozen=True)
class Facts:
    """The facts that the files of a revision state. `description` is None if it holds no adapter."""

    card: Card  # without its text if the file has more than MAX_TEXT bytes
    title: str
    summary: str
    description: Description | None
    config: dict[str, object]  # adapter_config.json, {} if there is none or it cannot be read
    parameters: dict[str, int]  # dtype → number of values in the weights
    library: str
    task: str
    bases: list[str]
    tags: list[str]
    words: tuple[str, ...]  # that call up what a LoRA for images learnt
    usage: AdapterUsage  # before an engine has run it
    training: Training

    @property
    def parameter_count(self) -> int:
        return sum(self.parameters.values())


def read_facts(entries: Mapping[str, Entry], type: str = "model") -> Facts:
    """Return the facts of a revision with these files (path → entry) in a repository of that type, from the store.

    Unreadable files contribute nothing. Raises StoreUnavailable, also if the store has lost a file. A push reads them
    before it takes the lock of its repository, and finds them in memory under the lock.
    """
    return _read(tuple(entries.values()), type)


@lru_cache(maxsize=64)
def _read(entries: tuple[Entry, ...], type: str) -> Facts:
    paths = [entry.path for entry in entries]
    files = file_openers({entry.path: entry for entry in entries})
    readme = next((entry for entry in entries if entry.path == README), None)
    card, text = _card(readme, files)
    papers = arxiv_ids(text)
    description = describe(files)
    adapter_files = within(files, description.place if description else "")
    header = _header(adapter_files)
    counts: dict[str, int] = {}
    for tensor in header.tensors.values() if header else ():
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.values
    notes = header.metadata if header else trainer_facts.notes_of(files)
    training = trainer_facts.read(files, card.data, parse_settings)
    family = description.format if description else ""
    phrase = trainer_facts.phrase_of(training.facts) if family in OF_IMAGES else ""
    task = card.task or (description.task or "" if description else "")
    return Facts(
        replace(card, body=card.body if readme and readme.size <= MAX_TEXT else ""),
        card.title,
        card.summary,
        description,
        _read_config(adapter_files),
        counts,
        library=library_of(card, description, paths),
        task=task,
        bases=base_models_of(card, description),
        tags=derive_tags(card, description, paths, task=task, papers=papers, type=type),
        words=trainer_facts.words_of(notes, card.data, phrase),
        usage=_usage(files, description, card),
        training=training,
    )


def _usage(files: Mapping[str, Opener], description: Description | None, card: Card) -> AdapterUsage:
    if description is None:
        return AdapterUsage("")
    kind, place = description.kind or "", description.place
    return usage_facts.stated(files, description.format, kind, place, card.data)


def read_available_facts(entries: Mapping[str, Entry], type: str = "model") -> Facts:
    """Return the facts of a revision as `read_facts` does, without the files that the store has lost; log those.

    For answers about many repositories, which one lost README must not break. Raises StoreUnavailable if the store
    does not answer at all.
    """
    try:
        return read_facts(entries, type)
    except StoreUnavailable:
        paths = entries.keys() & {README, *formats.telling(entries), *trainer_facts.paths(entries)}
        lost_paths = {path for path in paths if not object_exists(Keys.blob(entries[path].sha256))}
        if not lost_paths:
            raise
    for path in sorted(lost_paths):
        logger.error("The store has lost %s (%s): its facts are left out.", entries[path].sha256, path)
    return read_facts({path: entry for path, entry in entries.items() if path not in lost_paths}, type)


def file_openers(entries: Mapping[str, Entry]) -> dict[str, Opener]:
    """Return the files of a revision as the format library reads them: path → function that opens it.

    The beginning of a file is read from the store once, however often it is opened.
    """
    heads: dict[str, bytes] = {}
    return {path: partial(open_blob, entry.sha256, entry.size, heads) for path, entry in entries.items()}


def card_of(entries: Mapping[str, Entry]) -> Card:
    """Return the card without its text; an empty one where there is none or it is too large."""
    return _card(entries.get(README), file_openers(entries))[0]


def config_of(entry: Entry | None) -> configs.Config:
    """Return an adapter_config.json; empty where there is none, or it cannot be read."""
    try:
        return configs.read(open_blob(entry.sha256, entry.size)) if entry else {}
    except configs.ConfigError:
        return {}


def config_beside(entries: Mapping[str, Entry], path: str) -> configs.Config:
    """Return the adapter_config.json in the folder of a file, as above."""
    return config_of(entries.get(f"{path.rpartition('/')[0]}/{configs.NAME}".lstrip("/")))


READ_AHEAD = 64 << 10


class BlobFile(SeekableFile):
    """A believed object as a seekable file, for readers that look at a few places of a large one."""

    def __init__(self, sha256: str, size: int, heads: dict[str, bytes] | None = None) -> None:
        """Open it; `heads` keeps the first READ_AHEAD bytes of files that are opened several times."""
        super().__init__(size)
        self._key, self._heads = Keys.blob(sha256), heads

    def read(self, size: int = -1, /) -> bytes:
        end = self._size if size < 0 else min(self._size, self._at + size)
        if end <= self._at:
            return b""
        is_head = self._heads is not None and end <= READ_AHEAD
        data = self._head()[self._at : end] if is_head else self._fetch(self._at, end)
        self._at += len(data)
        return data

    def _head(self) -> bytes:
        assert self._heads is not None
        if self._key not in self._heads:
            self._heads[self._key] = self._fetch(0, min(self._size, READ_AHEAD))
        return self._heads[self._key]

    def _fetch(self, start: int, end: int) -> bytes:
        try:
            with store().open(self._key, start, end) as reader:
                return reader.read()
        except BlobMissing:  # a row names it, so the store has lost it
            raise lost_object(self._key) from None

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


def open_blob(sha256: str, size: int, heads: dict[str, bytes] | None = None) -> BinaryIO:
    """Return a believed object as a seekable file that reads ahead: some readers take a byte at a time."""
    return cast(BinaryIO, io.BufferedReader(BlobFile(sha256, size, heads), READ_AHEAD))


def _card(readme: Entry | None, files: Mapping[str, Opener]) -> tuple[Card, str]:
    """Return a card, and the whole text of its file; an empty one where there is none or it is too large."""
    if readme is None or readme.size > MAX_CARD_BYTES:
        return Card(), ""
    text = files[README]().read(MAX_CARD_BYTES).decode("utf-8", "replace")
    return parse_card(text), text


def parse_settings(text: str) -> dict[str, plain_yaml.Value]:
    """Return the YAML that a trainer wrote; {} for a text that cannot be read."""
    try:
        return plain_yaml.parse_mapping(text, most=trainer_settings.MAX_BYTES, what="the settings")
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}


def _read_config(files: Mapping[str, Opener]) -> dict[str, object]:
    try:
        return configs.read(files[configs.NAME]()) if configs.NAME in files else {}
    except configs.ConfigError:
        return {}


def _header(files: Mapping[str, Opener]) -> headers.Header | None:
    path = next((name for name in (WEIGHTS, LIBRARY_WEIGHTS) if name in files), "")
    try:
        return headers.read(files[path]()) if path else None
    except HeaderError:
        return None
