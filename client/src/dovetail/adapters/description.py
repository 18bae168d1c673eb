"""Says in a few facts what adapter a set of files holds; whether it is sound is for the checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dovetail.adapters import config as configs
from dovetail.adapters.header import Header, HeaderError, Opener, read
from dovetail.adapters.kinds import task_of

WEIGHTS = "adapter_model.safetensors"
PICKLED_WEIGHTS = "adapter_model.bin"
PIPELINE_TAGS = {
    "SEQ_CLS": "text-classification",
    "TOKEN_CLS": "token-classification",
    "QUESTION_ANS": "question-answering",
    "CAUSAL_LM": "text-generation",
    "SEQ_2_SEQ_LM": "text2text-generation",
    "FEATURE_EXTRACTION": "feature-extraction",
}


@dataclass(frozen=True, slots=True)
class Description:
    """What an adapter says about itself. Nothing here is proven; None means that the files do not say it."""

    format: str  # "peft", "adapters", "mlx" or "unknown"
    kind: str | None = None  # peft_type in lower case with hyphens: "lora", "ia3", "prefix-tuning" ...
    base: str | None = None
    base_revision: str | None = None
    task: str | None = None  # a pipeline tag: "text-classification" ...
    rank: int | None = None
    alpha: float | None = None
    target_modules: tuple[str, ...] = ()  # one item with a pattern when the config holds a pattern
    virtual_tokens: int | None = None
    parameters: int | None = None
    peft_version: str | None = None


def describe(files: Mapping[str, Opener]) -> Description | None:
    """Describes the adapter in files (path → function that opens it for reading bytes); None when there is none.

    `adapter_config.json` alone is enough; with `adapter_model.safetensors` the parameters are counted too. Broken files
    still describe an adapter, as far as they can be read: the checks say what is wrong with them.
    Only the config and the header are read, nothing is executed, and this never raises for what the files hold.
    """
    if not files.keys() & {configs.NAME, WEIGHTS, PICKLED_WEIGHTS}:
        return None
    header = _header(files)
    parameters = header.parameters if header else None
    config = _config(files)
    if text := configs.text(config, "peft_type"):
        return _peft(config, text, parameters)
    return Description(foreign_format(config), base=_foreign_base(config), parameters=parameters)


def kind_of(peft_type: str) -> str:
    return peft_type.strip().lower().replace("_", "-")[:40]


def _peft(config: configs.Config, peft_type: str, parameters: int | None) -> Description:
    return Description(
        format="peft",
        kind=kind_of(peft_type),
        base=configs.text(config, "base_model_name_or_path"),
        base_revision=configs.text(config, "revision"),
        task=PIPELINE_TAGS.get(task_of(config) or ""),
        rank=configs.whole(config, "r"),
        alpha=configs.number(config, "lora_alpha"),
        target_modules=configs.names(config, "target_modules"),
        virtual_tokens=configs.whole(config, "num_virtual_tokens"),
        parameters=parameters,
        peft_version=configs.text(config, "peft_version"),
    )


def foreign_format(config: configs.Config) -> str:
    if isinstance(config.get("config"), dict) and {"model_class", "model_type"} & config.keys():
        return "adapters"
    return "mlx" if {"lora_parameters", "fine_tune_type"} & config.keys() else "unknown"


def _foreign_base(config: configs.Config) -> str | None:
    return configs.text(config, "model_name") or configs.text(config, "model")


def _header(files: Mapping[str, Opener]) -> Header | None:
    if WEIGHTS not in files:
        return None
    try:
        with files[WEIGHTS]() as file:
            return read(file)
    except HeaderError:
        return None  # the check file.header says why


def _config(files: Mapping[str, Opener]) -> configs.Config:
    if configs.NAME not in files:
        return {}
    try:
        with files[configs.NAME]() as file:
            return configs.read(file)
    except configs.ConfigError:
        return {}  # the check config.invalid says why
