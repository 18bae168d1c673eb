"""Greedy generation: some tokens after each prompt, the same at each run; prompts are padded on the left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import GenerationConfig

from workers.engine.evals.codec import Codec

TOKENS = 16
LONGEST = 64  # tokens of a prompt
# Model classes raise these if they cannot generate with this adapter: that is a finding of the run, not our fault.
CANNOT = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError)


class CannotWrite(Exception):
    """The model cannot generate text with this adapter; the message is the one of generate()."""


def write(
    model: Any, codec: Codec, prompts: Mapping[int, str], tokens: int = TOKENS, longest: int = LONGEST
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
        max_new_tokens=tokens, do_sample=False, num_beams=1, repetition_penalty=1.0, no_repeat_ngram_size=0,
        pad_token_id=codec.tokenizer.pad_token_id or 0, eos_token_id=getattr(text, "eos_token_id", None),
        decoder_start_token_id=getattr(codec.config, "decoder_start_token_id", None),
    )  # fmt: skip
