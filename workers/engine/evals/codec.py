"""Encodes rows as a model's inputs and decodes its answers: tokenizer, limits, label names, and greedy generation.

Generation writes some tokens after each prompt, the same at each run; prompts are padded on the left.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from transformers import GenerationConfig

from dovetail.adapters.results.report import LabelSource
from workers.engine.models import structure
from workers.engine.models.frozen import Frozen

MAX_TOKENS = 128
DECODED = 8  # tokens given to a decoder as its start, if the rows have none
PICTURES = 4  # two in a batch: a picture costs as much as a page of text
MEASURED = ("pixel_values", "input_features", "input_values")  # numbers of pictures and sound, not of tokens
TAKEN = ("input_ids", "attention_mask", "token_type_ids")

Row = Mapping[str, Any]
Labels = tuple[Mapping[str, int], LabelSource | None]  # numbers of label names, and where they come from


@dataclass(frozen=True, slots=True)
class Batch:
    """The inputs of the model, with `facts` for reading the batch's answer and `of_rows` with facts of each row."""

    inputs: dict[str, torch.Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)
    of_rows: Sequence[Any] = ()

    @property
    def rows(self) -> int:
        return len(self.facts.get("counts") or next(iter(self.inputs.values())))

    @property
    def is_of_pictures(self) -> bool:
        return "pixel_values" in self.inputs and "input_ids" not in self.inputs

    @property
    def is_of_senses(self) -> bool:
        """True if a model hears these rows, or sees them with a text beside."""
        return not self.is_of_pictures and not self.inputs.keys().isdisjoint(MEASURED)

    def on(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """Return the batch on the model's device, with pictures and sound in the model's dtype."""
        if device.type == "cpu" and self.inputs.keys().isdisjoint(MEASURED):
            return self
        moved = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        moved |= {name: moved[name].to(dtype) for name in MEASURED if name in moved}
        return replace(self, inputs=moved, facts={name: _on(fact, device) for name, fact in self.facts.items()})

    @property
    def weights(self) -> torch.Tensor:
        """1 for each token whose output counts, 0 for padding; an encoder-decoder's outputs are its decoder's."""
        decoder_ids = self.inputs.get("decoder_input_ids")
        if decoder_ids is not None:
            return torch.ones_like(decoder_ids)
        mask = self.inputs.get("attention_mask")
        return torch.ones(self.rows, 1, dtype=torch.long) if mask is None else mask


@dataclass(frozen=True, slots=True)
class Codec:
    tokenizer: Any
    config: Any
    limit: int
    labels: Mapping[str, int] = field(default_factory=dict)
    count: int = 2
    labels_from: LabelSource | None = None  # None if nothing names the labels
    picture: tuple[int, int, int] | None = None  # channels, height and width; None for a base that reads text
    senses: structure.Shapes = field(default_factory=dict)  # inputs of a base that hears, or sees and reads at once

    @classmethod
    def of(cls, frozen: Frozen, labels: Labels = ({}, None), count: int = 2) -> Codec:
        text = frozen.config.get_text_config()
        limit = min(MAX_TOKENS, getattr(text, "max_position_embeddings", MAX_TOKENS) // 2)
        numbers, source = labels
        return cls(frozen.tokenizer, frozen.config, limit, numbers, count, source, frozen.picture, frozen.senses)

    @property
    def guessed(self) -> bool:
        """True if the numbers of the label names are our guess: then a name says nothing about an output."""
        return self.labels_from == "alphabet"

    @property
    def names(self) -> tuple[str, ...] | None:
        """The label names in the order of the head's outputs; None unless all are known."""
        named = {number: name for name, number in self.labels.items()}
        is_known = self.labels_from is not None and not self.guessed and named.keys() == set(range(self.count))
        return tuple(named[number] for number in range(self.count)) if is_known else None

    def number(self, label: Any) -> int:
        """Return the number of a row's label; -1 for an unknown name."""
        return self.labels.get(label, -1) if isinstance(label, str) else int(label)

    def name(self, number: int, *, guessed: bool = False) -> str:
        """Return the name of an output; a guessed one only where it is asked for."""
        unnamed = f"label {number}"
        if self.guessed and not guessed:
            return unnamed
        return next((name for name, at in self.labels.items() if at == number), unnamed)

    def tokens(self, *texts: Sequence[Any], limit: int | None = None, **options: Any) -> Any:
        """Tokenize texts; pairs are truncated to fit, the longer text first."""
        limit = limit or self.limit
        return self.tokenizer(*texts, padding=True, truncation=True, max_length=limit, return_tensors="pt", **options)

    def inputs(self, encoded: Any) -> dict[str, torch.Tensor]:
        return with_decoder(self.config, {key: encoded[key] for key in TAKEN if key in encoded})

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()


def _on(fact: Any, device: torch.device) -> Any:
    if isinstance(fact, torch.Tensor):
        return fact.to(device)
    return [_on(part, device) for part in fact] if isinstance(fact, list) else fact


def with_decoder(config: Any, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Add the decoder's inputs for an encoder-decoder: the first tokens of its own input."""
    if config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"][:, :DECODED]
    return inputs


def any_ids(codec: Codec, rows: int) -> Batch:
    """Return random ids with a fixed seed, for a base without a tokenizer."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, codec.config.get_text_config().vocab_size, (rows, 12), generator=generator)
    return Batch(with_decoder(codec.config, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}))


def pictures(codec: Codec) -> list[Batch]:
    """Return built-in pictures with values in [-1, 1]: a slope, stripes, a disc, each in several colours, and noise."""
    assert codec.picture is not None
    channels, height, width = codec.picture
    down, across = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    forms = [across, torch.sign(torch.sin(8 * down)), torch.where(down**2 + across**2 < 0.5, 1.0, -1.0)]
    colours = torch.linspace(1, -0.5, channels)[:, None, None]
    noise = torch.rand(codec.picture, generator=torch.Generator().manual_seed(0)) * 2 - 1
    every = torch.stack([*(form * colours for form in forms), noise])
    return [Batch({"pixel_values": part}) for part in every.split(PICTURES // 2)]


def sensed(codec: Codec) -> list[Batch]:
    """Return built-in rows for a base that hears, or sees and reads at once, two in a batch."""
    inputs = structure.made(codec.senses, codec.config)
    parts = [{name: tensor[at : at + PICTURES // 2] for name, tensor in inputs.items()} for at in (0, PICTURES // 2)]
    return [Batch(part) for part in parts]


def is_count(value: object) -> bool:
    """Return whether a value is an integer that any tensor can hold."""
    return type(value) is int and abs(value) < 2**31


def is_real(value: object) -> bool:
    return is_count(value) or (type(value) is float and math.isfinite(value))


def is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


NEW_TOKENS = 16
LONGEST_PROMPT = 64  # tokens of a prompt
# Model classes raise these if they cannot generate with this adapter: that is a finding of the run, not our fault.
CANNOT = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError)


class CannotWrite(Exception):
    """The model cannot generate text with this adapter; the message is the one of generate()."""


def write(
    model: Any, codec: Codec, prompts: Mapping[int, str], tokens: int = NEW_TOKENS, longest: int = LONGEST_PROMPT
) -> dict[int, str]:
    """Return the model's continuations of so many tokens by the prompts' numbers. Raises `CannotWrite`.

    `longest` is how many tokens of a prompt are read.
    """
    inputs, width = _inputs(codec, list(prompts.values()), longest)
    device = next(model.parameters()).device
    try:
        with torch.inference_mode():
            ids = model.generate(
                **{name: tensor.to(device) for name, tensor in inputs.items()}, generation_config=_config(codec, tokens)
            )
    except CANNOT as problem:
        raise CannotWrite(f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}") from problem
    return {at: codec.decode(line[width:].tolist()) for at, line in zip(prompts, ids.cpu(), strict=True)}


def _inputs(codec: Codec, texts: list[str], longest: int) -> tuple[dict[str, torch.Tensor], int]:
    """Return left-padded ids, and the number of leading tokens in the answer that are not new."""
    encoded = codec.tokens(texts, limit=min(codec.limit, longest))
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    if codec.config.is_encoder_decoder:
        return {"input_ids": ids, "attention_mask": mask}, 1
    separator = getattr(codec.tokenizer, "sep_token_id", None)
    if separator is not None:  # a token that closes the text would end the generation
        mask = mask * (ids != separator)
    for at, line in enumerate(mask):
        text_ids = ids[at][line.bool()]
        ids[at] = codec.tokenizer.pad_token_id or 0
        ids[at, len(line) - len(text_ids) :] = text_ids
    return {"input_ids": ids, "attention_mask": mask.sort(1).values}, ids.shape[1]


def _config(codec: Codec, tokens: int) -> GenerationConfig:
    """Set every key that decides the text: a base's own config may ask for sampling, penalties and longer texts."""
    text = codec.config.get_text_config()
    return GenerationConfig(
        max_new_tokens=tokens,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        pad_token_id=codec.tokenizer.pad_token_id or 0,
        eos_token_id=getattr(text, "eos_token_id", None),
        decoder_start_token_id=getattr(codec.config, "decoder_start_token_id", None),
    )
