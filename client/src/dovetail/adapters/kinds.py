"""The methods by name, and which task a config is for; what is known of each method is its row in `methods`."""

from __future__ import annotations

from collections.abc import Mapping

from dovetail.adapters.accepts import Fits, is_flag, is_number, is_whole, one_of
from dovetail.adapters.kind import EVERYWHERE, IGNORED, SELECTING, TASKS, Kind
from dovetail.adapters.methods import KINDS

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
]  # fmt: skip

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
    "IMAGE_CLS": ("classifier",),  # no task_type of PEFT: whoever trains one names it in modules_to_save
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
    "LMHeadModel": "CAUSAL_LM",
    "Model": "FEATURE_EXTRACTION",
}
BY_TYPE = {kind.peft_type: kind for kind in KINDS}


def kind_of(config: Mapping[str, object]) -> Kind | None:
    """The method that a config names, when it is one of those known here."""
    return BY_TYPE.get(str(config.get("peft_type")))


def placing(config: Mapping[str, object]) -> dict[str, object]:
    """The keys that say where the method goes, without those that PEFT does not read for this method.

    An adaption prompt names one module plainly; what it names is no pattern.
    """
    kind = kind_of(config)
    if kind is None:
        return dict(config)
    found = {key: value for key, value in config.items() if key not in SELECTING or key in kind.keys}
    named = found.get("target_modules")
    if kind.peft_type == "ADAPTION_PROMPT" and isinstance(named, str):
        found["target_modules"] = [named]
    return found


def task_of(config: Mapping[str, object]) -> str | None:
    """The task the config names, by `task_type` or by the class the adapter was trained on."""
    task, mapping = config.get("task_type"), config.get("auto_mapping")
    if task in TASKS:
        return str(task)
    return task_of_class(str(mapping.get("base_model_class"))) if isinstance(mapping, dict) else None


def task_of_class(name: str) -> str | None:
    """The task of a class of transformers, by the end of its name."""
    return next((found for end, found in CLASS_ENDS.items() if name.endswith(end)), None)
