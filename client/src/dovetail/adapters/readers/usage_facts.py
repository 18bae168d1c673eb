"""Reads from the files of an adapter how it is used, as far as they say it before an engine has run it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import HeaderError, Opener
from dovetail.adapters.formats import tokens
from dovetail.adapters.formats.description import within
from dovetail.adapters.methods import task_of
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.results.usage import AdapterUsage, label_names

CLASSES = {
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "MASKED_LM": "AutoModelForMaskedLM",
    "IMAGE_CLS": "AutoModelForImageClassification",
    "CTC": "AutoModelForCTC",
}
WITH_LABELS = ("SEQ_CLS", "TOKEN_CLS", "IMAGE_CLS")
VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
)


def stated(files: Mapping[str, Opener], format: str, kind: str, place: str, card: Mapping[str, object]) -> AdapterUsage:
    """Return what the files of an adapter say of its use; what they do not say is left at its default."""
    usage = AdapterUsage(format, kind, place, tokenizer=tokenizer_in(files, place))
    if format != "peft":
        return usage
    folder = Folder(within(files, place), card)
    try:
        task = task_of(folder.config) or ""
        labels = ((folder.layout.labels if folder.kind else None) or 2) if task in WITH_LABELS else 0
        rows = embedding_rows(folder)
    except (configs.ConfigError, HeaderError, ValueError, LookupError, OSError):
        return usage
    stated_names = card.get("label_names")
    names = list(map(str, stated_names)) if isinstance(stated_names, list) else []
    return replace(
        usage,
        model=CLASSES.get(task, "AutoModel"),
        labels=labels,
        names=label_names({name: number for number, name in enumerate(names)}, labels),
        rows=rows,
        virtual_tokens=configs.whole(folder.config, "num_virtual_tokens") or 0,
    )


def tokenizer_in(files: Collection[str], place: str) -> Literal["base", "adapter"]:
    """Return whose tokenizer an adapter is used with: its own where its folder has one."""
    start = f"{place}/" if place else ""
    has_own = f"{start}tokenizer_config.json" in files and any(f"{start}{name}" in files for name in VOCABULARIES)
    return "adapter" if has_own else "base"


def embedding_rows(folder: Folder) -> int:
    """Return the rows that the base's embedding needs for the tokens that the file trains or saves; 0 for none."""
    return max(folder.layout.rows, max(tokens.trained(folder.config), default=-1) + 1) if folder.kind else 0
