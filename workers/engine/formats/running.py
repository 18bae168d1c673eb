"""The extra arguments that some methods of PEFT need at every run, and how each method is switched off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.multitask_prompt_tuning import MultitaskPromptEmbedding
from peft.tuners.poly import PolyLayer
from peft.tuners.tuners_utils import BaseTunerLayer

from dovetail.adapters.folder import Folder
from dovetail.adapters.layout import BIAS_COPY

TASK = 0  # of the tasks that an adapter of several was trained on


def ready(model: Any) -> Any:
    """The model, which from now on knows by itself what its method would otherwise have to be told with each row."""
    for module in model.modules():
        if isinstance(module, PolyLayer):
            module.register_forward_pre_hook(_of_one_task, with_kwargs=True)
        elif isinstance(module, MultitaskPromptEmbedding):
            module.register_forward_pre_hook(_prompt_of_one_task)
    if model.active_peft_config.peft_type == "MULTITASK_PROMPT_TUNING" and model.config.is_encoder_decoder:
        model.register_forward_pre_hook(_with_embedded_decoder, with_kwargs=True)
    if getattr(model.active_peft_config, "alora_invocation_tokens", None):
        model.register_forward_pre_hook(_invoked, with_kwargs=True)
    if model.active_peft_config.peft_type == "CPT":
        model.register_forward_pre_hook(_without_labels, with_kwargs=True)
    return model


def is_explained(key: str, folder: Folder) -> bool:
    """Whether what the loader did not find a place or value for has its place all the same.

    It gives prompts their values by itself, looks past copies of embeddings, and misses a tensor of all modules anew in
    each; that those are in the file is for the checks of fit.
    """
    layout, kind = folder.layout, folder.kind
    assert kind is not None
    if key in layout.copies or BIAS_COPY.fullmatch(key) or (kind.is_prompt and key in layout.shared):
        return True
    return any(f".{name.rstrip('.').rpartition('.')[2]}." in key for name in kind.shared_names)


@contextmanager
def switched_off(model: Any) -> Iterator[Any]:
    """The model without the adapter. PEFT's own disable_adapter() would put the untrained head back as well."""
    if model.active_peft_config.is_prompt_learning:
        yield model.get_base_model()
        return
    if model.active_peft_config.is_adaption_prompt:
        model.base_model.disable_adapter_layers()
        yield model
        model.base_model.enable_adapter_layers()
        return
    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    yield model
    for layer in layers:
        layer.enable_adapters(True)


def _of_one_task(_: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    tasks = torch.full((len(arguments[0]),), TASK, device=arguments[0].device)
    return arguments, {**named, "task_ids": tasks}


def _prompt_of_one_task(_: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return arguments[0], torch.full((len(arguments[0]),), TASK, device=arguments[0].device)


def _with_embedded_decoder(
    model: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """PEFT puts the prompt before embeddings of the decoder, and makes those from labels only."""
    ids = named.get("decoder_input_ids")
    embedded = {"decoder_inputs_embeds": model.word_embeddings(ids)} if ids is not None else {}
    return arguments, {**named, **embedded}


def _invoked(_: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """As if every row came right after the tokens that wake the adapter: our rows do not hold them."""
    ids = named.get("input_ids")
    return arguments, {**named, "alora_offsets": [ids.shape[1]] * len(ids)} if ids is not None else named


def _without_labels(
    _: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """PEFT takes it for granted that somebody says labels, be it None (peft_model.py, _cpt_forward)."""
    return arguments, {"labels": None, **named}
