"""Greedy writing: sixteen tokens after each prompt, the same at each run; prompts are padded in front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import GenerationConfig

from workers.engine.evals.desk import Desk

TOKENS = 16
LONGEST = 64  # tokens of a prompt
# What model classes raise that cannot write with this adapter in them: a finding of the run, not a fault of ours.
CANNOT = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError)


class CannotWrite(Exception):
    """The model does not write with what it was given; the message says what it said."""


def write(model: Any, desk: Desk, prompts: Mapping[int, str]) -> dict[int, str]:
    """Return the model's continuations by the prompts' numbers. Raises `CannotWrite`."""
    inputs, width = _inputs(desk, list(prompts.values()))
    device = next(model.parameters()).device
    try:
        with torch.inference_mode():
            ids = model.generate(
                **{name: tensor.to(device) for name, tensor in inputs.items()}, generation_config=_config(desk)
            )
    except CANNOT as problem:
        raise CannotWrite(f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}") from problem
    return {at: desk.decode(line[width:].tolist()) for at, line in zip(prompts, ids.cpu(), strict=True)}


def _inputs(desk: Desk, texts: list[str]) -> tuple[dict[str, torch.Tensor], int]:
    """The ids with their padding where the model does not write, and how many of the answer's first are not new."""
    said = desk.tokens(texts, limit=min(desk.limit, LONGEST))
    ids, mask = said["input_ids"], said["attention_mask"]
    if desk.config.is_encoder_decoder:
        return {"input_ids": ids, "attention_mask": mask}, 1
    if (ends := getattr(desk.tokenizer, "sep_token_id", None)) is not None:  # what closes a text would end the writing
        mask = mask * (ids != ends)
    for at, line in enumerate(mask):
        kept = ids[at][line.bool()]
        ids[at] = desk.tokenizer.pad_token_id or 0
        ids[at, len(line) - len(kept) :] = kept
    return {"input_ids": ids, "attention_mask": mask.sort(1).values}, ids.shape[1]


def _config(desk: Desk) -> GenerationConfig:
    """Our own in every key that decides what is written: a base may come with sampling, penalties and longer texts."""
    text = desk.config.get_text_config()
    return GenerationConfig(
        max_new_tokens=TOKENS, do_sample=False, num_beams=1, repetition_penalty=1.0, no_repeat_ngram_size=0,
        pad_token_id=desk.tokenizer.pad_token_id or 0, eos_token_id=getattr(text, "eos_token_id", None),
        decoder_start_token_id=getattr(desk.config, "decoder_start_token_id", None),
    )  # fmt: skip
