"""The methods of PEFT, one row for each that holds all that is known of it, found by a config; `kind` types a row."""

from collections.abc import Mapping
from dataclasses import dataclass

from dovetail.adapters.methods import changes, lora, products, prompts, shared
from dovetail.adapters.methods.kind import (
    EVERYWHERE,
    IGNORED,
    SELECTING,
    TASKS,
    Fits,
    Kind,
    is_flag,
    is_number,
    is_whole,
    one_of,
)


@dataclass(frozen=True, slots=True)
class NotRun:
    """One method. `since` is the first release of PEFT that has it, `fetches` the key whose value is fetched."""

    peft_type: str
    why: str
    since: str = ""
    fetches: str = ""


_NOT_RUN = (
    NotRun("XLORA", "it is a mixture of other adapters, which a loader would fetch from the paths in its config",
           since="0.12", fetches="adapters"),
    NotRun("SHADOW", "it runs beside a second model, which a loader would fetch by the name in its config",
           fetches="shadow_model"),
    NotRun("ADAMSS", "PEFT needs scikit-learn for it, to cluster the weights of the base at each load",
           since="0.19"),
    NotRun("BONE", "PEFT now calls it MISS", since="0.14"),
)  # fmt: skip
KINDS = (*lora.ROWS, *products.ROWS, *shared.ROWS, *changes.SPARSE, *changes.SCALING, *prompts.ROWS)
NOT_RUN = {row.peft_type: row for row in _NOT_RUN}
# The first release of PEFT that has a method; "" for 0.5 and before.
SINCE = {row.peft_type: row.since for row in (*KINDS, *_NOT_RUN)}


__all__ = [
    "CLASS_ENDS",
    "EVERYWHERE",
    "HEADS",
    "HEAD_TASKS",
    "IGNORED",
    "KINDS",
    "TASKS",
    "Fits",
    "Kind",
    "is_flag",
    "is_number",
    "is_whole",
    "kind_of",
    "one_of",
    "placing",
    "task_of",
    "task_of_class",
]

# The heads of the adapters library that are measured here, by their head_type.
HEAD_TASKS = {
    "classification": "SEQ_CLS",
    "tagging": "TOKEN_CLS",
    "question_answering": "QUESTION_ANS",
    "image_classification": "IMAGE_CLS",
    "causal_lm": "CAUSAL_LM",
    "seq2seq_lm": "SEQ_2_SEQ_LM",
}
HEADS = {
    "SEQ_CLS": ("classifier", "score"),
    "TOKEN_CLS": ("classifier", "score"),
    "QUESTION_ANS": ("qa_outputs",),
    "IMAGE_CLS": ("classifier",),  # not a task_type of PEFT: such a config names its head in modules_to_save
}

# The ends of transformers' class names, longest first, for configs that name a class in place of a task.
CLASS_ENDS = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForImageClassification": "IMAGE_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
    "ForConditionalGeneration": "SEQ_2_SEQ_LM",
    "ForCausalLM": "CAUSAL_LM",
    "ForMaskedLM": "MASKED_LM",
    "ForCTC": "CTC",
    "LMHeadModel": "CAUSAL_LM",
    "Model": "FEATURE_EXTRACTION",
}
BY_TYPE = {kind.peft_type: kind for kind in KINDS}


def kind_of(config: Mapping[str, object]) -> Kind | None:
    """Return the method that a config names, or None if it is unknown here."""
    return BY_TYPE.get(str(config.get("peft_type")))


def placing(config: Mapping[str, object]) -> dict[str, object]:
    """Return the config without the selecting keys that PEFT does not read for this method.

    An adaption prompt names one module literally, not by a pattern.
    """
    kind = kind_of(config)
    if kind is None:
        return dict(config)
    keys = {key: value for key, value in config.items() if key not in SELECTING or key in kind.keys}
    targets = keys.get("target_modules")
    if kind.peft_type == "ADAPTION_PROMPT" and isinstance(targets, str):
        keys["target_modules"] = [targets]
    return keys


def task_of(config: Mapping[str, object]) -> str | None:
    """Return the task the config names, by `task_type` or by the class the adapter was trained on."""
    task, mapping = config.get("task_type"), config.get("auto_mapping")
    if task in TASKS:
        return str(task)
    return task_of_class(str(mapping.get("base_model_class"))) if isinstance(mapping, dict) else None


def task_of_class(name: str) -> str | None:
    """Return the task of a class of transformers, by the end of its name."""
    return next((task for end, task in CLASS_ENDS.items() if name.endswith(end)), None)
