"""Tells how an adapter is loaded and what it answers to one row, after the engine has run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch

from dovetail.adapters.files import config as configs
from dovetail.adapters.readers.composition import Composition
from dovetail.adapters.readers.library import SETUP_CONFIG
from dovetail.adapters.readers.usage_facts import embedding_rows, tokenizer_in
from dovetail.adapters.results.usage import LONGEST_TEXT, AdapterUsage, label_names
from workers.engine.evals.feature_extraction import TRIPLET
from workers.engine.evals.task import Outputs
from workers.engine.models import library
from workers.engine.models.frozen import WITH_LABELS, class_of

if TYPE_CHECKING:
    from workers.engine.trials.trial import Trial

Sample = tuple[tuple[str, ...], str | None]
NOTHING: Sample = ((), None)
EXTRACTORS = ("preprocessor_config.json", "processor_config.json")


def usage_of(trial: Trial, place: str) -> AdapterUsage:
    """Return how the adapter in this folder is loaded, with the row that shows best what it does."""
    folder, frozen, codec = trial.folder, trial.frozen, trial.rows.codec
    task = trial.rows.eval.task if trial.task == library.TASK else trial.task
    labels = codec.count if task in WITH_LABELS else 0
    names = () if trial.rows.guessed else label_names(_named(codec.labels), labels)
    own_labels = int(frozen.config.num_labels)
    reads, shape = _reads(trial)
    sample, answer = _sample(trial, task, names or _default_names(frozen.config, labels))
    has_extractor = any((frozen.folder / name).exists() for name in EXTRACTORS)
    is_generic = type(frozen.tokenizer).__name__ == "PreTrainedTokenizerFast"
    return AdapterUsage(
        format="adapters" if trial.task == library.TASK else "peft",
        kind=_kind(trial),
        place=place,
        model=class_of(task, frozen.config).__name__,
        labels=labels,
        names=names,
        resets_head=bool(labels) and task == frozen.head_task and labels != own_labels,
        rows=_rows(trial),
        virtual_tokens=configs.whole(folder.config, "num_virtual_tokens") or 0,
        tokenizer=_tokenizer(trial),
        # transformers 5 writes a class into the config that transformers 4 does not have; this one reads such files.
        tokenizer_class="PreTrainedTokenizerFast" if is_generic else "AutoTokenizer",
        inputs=tuple(frozen.tokenizer.model_input_names) if frozen.refuses_inputs and reads == "text" else (),
        has_chat_template=_has_chat_template(trial),
        reads=reads,
        shape=shape,
        hears=reads in ("input_features", "input_values") and has_extractor,
        sees=reads == "pixel_values" and has_extractor,
        parts=tuple(folder.members) if isinstance(folder, Composition) and _kind(trial) == "fusion" else (),
        sample=sample,
        answer=answer,
    )


def _kind(trial: Trial) -> str:
    if isinstance(trial.folder, Composition):
        return "composition" if SETUP_CONFIG in trial.folder.files else "fusion"
    return ""


def _rows(trial: Trial) -> int:
    """Return the rows to which the base's embedding must grow, 0 where it has them."""
    rows = embedding_rows(trial.folder) if trial.task != library.TASK else 0
    return rows if rows > trial.frozen.facts(trial.task, trial.labels).vocabulary else 0


def _tokenizer(trial: Trial) -> Literal["base", "adapter", "none"]:
    own = tokenizer_in(trial.folder.files, "")
    return own if own == "adapter" or trial.frozen.tokenizer is not None else "none"


def _has_chat_template(trial: Trial) -> bool:
    if _tokenizer(trial) != "adapter":
        return bool(getattr(trial.frozen.tokenizer, "chat_template", None))
    if "chat_template.jinja" in trial.folder.files:
        return True
    with trial.folder.files["tokenizer_config.json"]() as file:
        try:
            return bool(configs.read(file).get("chat_template"))
        except configs.ConfigError:
            return False


def _reads(trial: Trial) -> tuple[Any, tuple[float, ...]]:
    """Return the main input of the base, and the shape of one row where it is no text."""
    codec = trial.rows.codec
    if codec.picture is not None:
        return "pixel_values", tuple(map(float, codec.picture))
    for name in ("input_features", "input_values"):
        if name in codec.senses:
            return name, tuple(map(float, codec.senses[name]))
    if codec.senses:
        return "other", ()
    return ("text" if codec.tokenizer is not None else "ids"), ()


def _named(labels: Mapping[str, int]) -> Mapping[str, int]:
    """Return the numbers of the labels' names; empty if they are the defaults of a config without names."""
    return {} if all(name == f"LABEL_{number}" for name, number in labels.items()) else labels


def _default_names(config: Any, labels: int) -> tuple[str, ...]:
    """Return the names that transformers gives the labels of a head where a program says none."""
    own = config.id2label if len(config.id2label) == labels else {}
    return tuple(str(own.get(number, f"LABEL_{number}")) for number in range(labels))


# --- the row ---------------------------------------------------------------------------------------------------------
def _sample(trial: Trial, task: str, names: Sequence[str]) -> Sample:
    """Return the texts of a row that the adapter gets right, and its answer where a program prints it as it is."""
    choose = _SAMPLES.get(task)
    if choose is None or not trial.rows.rows or trial.rows.codec.tokenizer is None:
        return NOTHING
    texts, answer = choose(trial, names)
    # A program of the adapters library prints labels alone.
    return texts, None if trial.task == library.TASK and len(names) < 2 else answer


def _texts(row: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    """Return the texts of a row; () if one is missing, too long or in lines, which programs do not show well."""
    texts = tuple(row[key] for key in keys if row.get(key))
    is_fit = all(isinstance(text, str) and len(text) <= LONGEST_TEXT and "\n" not in text.strip() for text in texts)
    return texts if is_fit else ()


def _best(outputs: Outputs, texts: Sequence[tuple[str, ...]], worth: Callable[[int], float]) -> int | None:
    """Return the number of the row with the greatest worth of those whose texts fit."""
    return max((at for at, row_texts in enumerate(texts) if row_texts), key=worth, default=None)


def _classified(trial: Trial, names: Sequence[str]) -> Sample:
    outputs = trial.outputs
    texts = [_texts(row, "text", "text_pair") for row in outputs.rows]

    def sureness(at: int) -> float:
        shares = outputs.adapter[at].float().flatten().softmax(-1).sort(descending=True).values
        row = outputs.rows[at]
        is_right = "label" in row and outputs.codec.number(row["label"]) == int(outputs.adapter[at].argmax())
        return float(shares[0] - shares[1]) + 2 * is_right

    at = _best(outputs, texts, sureness if len(names) > 1 else lambda _: 0)
    if at is None:
        return NOTHING
    line = trial.rows.answer_alone(trial.model, at)
    return texts[at], f"{line.item():.3f}" if len(names) == 1 else names[int(line.argmax())]


def _tagged(trial: Trial, names: Sequence[str]) -> Sample:
    outputs = trial.outputs

    def usable(at: int) -> bool:
        words, read = outputs.rows[at]["tokens"], outputs.facts[at]
        return read is not None and len(read) == len(words) and all(len(word.split()) == 1 for word in words)

    start = " " if getattr(outputs.codec.tokenizer, "add_prefix_space", None) is False else ""
    texts = [
        _texts({"text": start + " ".join(row["tokens"])}, "text") if usable(at) else ()
        for at, row in enumerate(outputs.rows)
    ]

    def worth(at: int) -> float:
        said = outputs.adapter[at].argmax(-1).tolist()
        labels = outputs.rows[at].get("labels")
        is_right = labels is not None and [outputs.codec.number(label) for label in labels] == said
        return len(set(said)) + 100 * is_right

    at = _best(outputs, texts, worth)
    if at is None:
        return NOTHING
    return texts[at], str([names[label] for label in trial.rows.answer_alone(trial.model, at).argmax(-1)])


def _questioned(trial: Trial, _: Sequence[str]) -> Sample:
    return next((texts for row in trial.rows.rows if (texts := _texts(row, "question", "context"))), ()), None


def _prompted(trial: Trial, _: Sequence[str]) -> Sample:
    """Return the first text that has none of the tokenizer's own tokens: a chat template adds those itself."""
    special = getattr(trial.rows.codec.tokenizer, "all_special_tokens", ())
    for row in trial.rows.rows:
        texts = _texts({"text": _start(row)}, "text")
        if texts and not any(token in texts[0] for token in special):
            return texts, None
    return NOTHING


def _start(row: Mapping[str, Any]) -> str:
    """Return the first half of a text's words, as an evaluation asks for the rest; all of a text with a target."""
    words = str(row["text"]).split()
    return row["text"] if "target" in row or "expected" in row else " ".join(words[: max(1, len(words) // 2)])


def _embedded(trial: Trial, _: Sequence[str]) -> Sample:
    for row, line in zip(trial.rows.rows, trial.outputs.adapter, strict=True):
        keys = TRIPLET[:2] if TRIPLET[0] in row else ("text", "text_pair")
        texts = _texts(row, *keys)
        if len(texts) == 2:
            return texts, f"{torch.cosine_similarity(line[0], line[1], dim=0).item():.3f}"
    return NOTHING


_SAMPLES: Mapping[str, Callable[[Trial, Sequence[str]], Sample]] = {
    "SEQ_CLS": _classified,
    "TOKEN_CLS": _tagged,
    "QUESTION_ANS": _questioned,
    "CAUSAL_LM": _prompted,
    "SEQ_2_SEQ_LM": _prompted,
    "FEATURE_EXTRACTION": _embedded,
}
