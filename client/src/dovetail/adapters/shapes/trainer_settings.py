"""The settings that trainers save beside the weights: one row for each trainer tells its files by their keys.

Each is a fact that somebody states, with its source; nothing of it is measured.
"""

import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from dovetail.adapters.files import config as configs
from dovetail.adapters.files.header import Opener

MAX_TEXT = 200
MAX_ITEMS = 20  # of a list
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{0,18})?(?:[eE][-+]?\d{1,3})?")  # YAML 1.1 reads 1e-5 as a text


@dataclass(frozen=True, slots=True)
class Stated:
    """One fact and its source, `file:key`."""

    name: str
    value: float | str
    source: str

    @property
    def is_number(self) -> bool:
        return isinstance(self.value, float)


def stated(name: str, value: object, source: str) -> Iterator[Stated]:
    """Yield the fact; nothing for an empty value, a mapping, or what a page cannot show."""
    plain = _plain(value)
    if plain is not None and name.isprintable() and source.isprintable():
        yield Stated(name[:MAX_TEXT], plain, source[: 2 * MAX_TEXT])


def is_number(value: object) -> bool:
    """Return whether this is a finite number, and no switch."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _plain(value: object) -> float | str | None:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return float(value) if is_number(value) else None
        case str():
            return _text(value.strip())
        case list():
            items = [str(item) for item in value[:MAX_ITEMS] if isinstance(item, str) or is_number(item)]
            text = ", ".join(items)[:MAX_TEXT]
            return text if text and text.isprintable() else None
    return None


def _text(value: str) -> float | str | None:
    if _NUMBER.fullmatch(value) and math.isfinite(float(value)):
        return float(value)
    return value[:MAX_TEXT] if value.isprintable() and value.lower() not in ("", "none", "null") else None


MAX_BYTES = 32 << 10
MAX_FILES = 4
MAX_KEYS, MAX_DEPTH = 2_000, 6
MAX_DOTS = 40  # in a line of TOML: reading a key takes the square of its parts
YAML, TOML = (".yaml", ".yml"), ".toml"
_FIRST = ("axolotl_config", "llamaboard_config", "training_args", "hyperparameters", "torchtune_config", "config")

Parse = Callable[[str], Mapping[str, object]]  # of YAML; {} for a text that cannot be read


@dataclass(frozen=True, slots=True)
class _Trainer:
    """`signs` are keys that all of its files have; all keys are below `root`, or in any section."""

    name: str
    signs: str
    keys: str
    root: str = ""
    is_sectioned: bool = False

    def path_of(self, key: str, settings: Mapping[str, object]) -> str:
        """Return the path of a key in a file, "" if it is not there."""
        if self.is_sectioned:
            return next((path for path in settings if path.rpartition(".")[2] == key), "")
        path = self.root + key
        return path if path in settings else ""

    def made(self, settings: Mapping[str, object]) -> bool:
        return all(
            self.path_of(sign, settings) or any(path.startswith(f"{self.root}{sign}.") for path in settings)
            for sign in self.signs.split()
        )


_TRAINERS = (
    _Trainer(
        "ai-toolkit", "type train",
        "trigger_word network.type network.linear network.linear_alpha network.conv network.conv_alpha train.steps "
        "train.batch_size train.gradient_accumulation_steps train.gradient_accumulation train.lr train.optimizer "
        "train.noise_scheduler train.dtype model.arch model.quantize datasets.0.resolution",
        root="config.process.0.",
    ),
    _Trainer(
        "LLaMA-Factory", "stage finetuning_type",
        "stage finetuning_type lora_rank lora_alpha lora_dropout lora_target learning_rate num_train_epochs max_steps "
        "per_device_train_batch_size gradient_accumulation_steps lr_scheduler_type warmup_ratio warmup_steps optim "
        "cutoff_len template quantization_bit use_dora use_rslora neftune_noise_alpha packing pref_loss pref_beta seed",
    ),
    _Trainer(
        "LLaMA-Factory", "top.finetuning_type",
        "top.finetuning_type train.training_stage train.lora_rank train.lora_alpha train.lora_dropout "
        "train.lora_target train.learning_rate train.num_train_epochs train.batch_size "
        "train.gradient_accumulation_steps train.lr_scheduler_type train.warmup_steps train.optim train.cutoff_len "
        "top.template top.quantization_bit",
    ),
    _Trainer(
        "torchtune", "model._component_",
        "model._component_ model.lora_rank model.lora_alpha model.lora_dropout model.lora_attn_modules "
        "model.apply_lora_to_mlp model.apply_lora_to_output model.use_dora optimizer._component_ optimizer.lr "
        "optimizer.weight_decay lr_scheduler._component_ lr_scheduler.num_warmup_steps loss._component_ epochs "
        "batch_size gradient_accumulation_steps max_steps_per_epoch tokenizer.max_seq_len dtype seed",
    ),
    _Trainer(
        "LitGPT", "lora_r lora_query",
        "lora_r lora_alpha lora_dropout lora_query lora_key lora_value lora_projection lora_mlp lora_head precision "
        "quantize train.epochs train.max_steps train.global_batch_size train.micro_batch_size train.lr_warmup_steps "
        "train.max_seq_length train.learning_rate optimizer optimizer.class_path optimizer.init_args.lr "
        "optimizer.init_args.weight_decay seed",
    ),
    _Trainer(
        "axolotl", "base_model datasets",
        "adapter lora_r lora_alpha lora_dropout lora_target_modules lora_target_linear peft_use_dora learning_rate "
        "num_epochs max_steps micro_batch_size gradient_accumulation_steps optimizer lr_scheduler warmup_steps "
        "warmup_ratio weight_decay sequence_len sample_packing load_in_4bit load_in_8bit chat_template rl seed",
    ),
    _Trainer(
        "kohya", "network_module",
        "network_module network_dim network_alpha network_dropout network_args learning_rate unet_lr text_encoder_lr "
        "max_train_steps max_train_epochs train_batch_size gradient_accumulation_steps optimizer_type lr_scheduler "
        "lr_warmup_steps resolution mixed_precision clip_skip noise_offset min_snr_gamma seed",
        is_sectioned=True,
    ),
    _Trainer(
        "MLX", "lora_parameters",
        "fine_tune_type num_layers lora_parameters.rank lora_parameters.scale lora_parameters.dropout "
        "lora_parameters.keys iters batch_size learning_rate optimizer max_seq_length mask_prompt seed",
    ),
)  # fmt: skip
# Its config names the method and not the trainer. Pages show the rank already.
_PEFT = _Trainer(
    "", "peft_type", "lora_alpha alpha lora_dropout module_dropout rank_dropout target_modules use_rslora use_dora"
)


def paths(files: Mapping[str, object]) -> list[str]:
    """Return the files that `read` opens: the config of the adapter, and a few at the top."""
    texts = [path for path in files if "/" not in path and path.endswith((*YAML, TOML))]
    texts.sort(key=lambda path: (path.rpartition(".")[0] not in _FIRST, path))
    return [path for path in (configs.NAME,) if path in files] + texts[:MAX_FILES]


def read(files: Mapping[str, Opener], parse: Parse) -> Iterator[Stated]:
    """Yield the settings in the files that a trainer of the table wrote."""
    for path in paths(files):
        with files[path]() as file:
            document = _config(file) if path == configs.NAME else _document(file, path, parse)
        yield from of_settings(document, path)


def of_settings(document: Mapping[str, object], path: str) -> Iterator[Stated]:
    """Yield what the trainer whose keys these are states; nothing for other documents."""
    settings = dict(_flat(document, "", MAX_DEPTH, [MAX_KEYS]))
    trainer = next((one for one in (*_TRAINERS, _PEFT) if one.made(settings)), None)
    if trainer is None:
        return
    if trainer.name:
        sign = trainer.signs.split()[0]
        yield from stated("trainer", trainer.name, f"{path}:{trainer.path_of(sign, settings) or trainer.root + sign}")
    for key in trainer.keys.split():
        if place := trainer.path_of(key, settings):
            yield from stated(key, settings[place], f"{path}:{place}")


def _flat(value: object, place: str, depth: int, left: list[int]) -> Iterator[tuple[str, object]]:
    """Yield (dotted path, value) of all that is no mapping; lists of mappings by number. `left` bounds their count."""
    is_list = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    if not (is_list or isinstance(value, Mapping)):
        yield place, value
    elif depth:
        items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, Mapping) else ()
        for key, item in items:
            left[0] -= 1
            if left[0] < 0:
                return
            yield from _flat(item, f"{place}.{key}" if place else str(key), depth - 1, left)


def _config(file: BinaryIO) -> Mapping[str, object]:
    try:
        return configs.read(file)
    except configs.ConfigError:
        return {}


def _document(file: BinaryIO, path: str, parse: Parse) -> Mapping[str, object]:
    raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        return {}
    text = raw.decode("utf-8", "replace")
    return _toml(text) if path.endswith(TOML) else parse(text)


def _toml(text: str) -> Mapping[str, object]:
    if any(line.count(".") > MAX_DOTS for line in text.splitlines()):
        return {}
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}
