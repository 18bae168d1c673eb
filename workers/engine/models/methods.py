"""PEFT's methods in a model: the extra arguments that some need at every run, and how each is switched off."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.multitask_prompt_tuning import MultitaskPromptEmbedding
from peft.tuners.poly import PolyLayer
from peft.tuners.tuners_utils import BaseTunerLayer

from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.shapes.layout import BIAS_COPY

TASK = 0  # the task that is run of an adapter trained on several tasks

Arguments = tuple[Any, ...]  # of the forward() of any model
Keywords = dict[str, Any]


def ready(model: Any) -> Any:
    """Return the model with hooks that add the arguments that its method needs at every run."""
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
    """Return whether a key that the loader reports as missing or unexpected is harmless.

    PEFT loads prompts by other means, ignores copies of embeddings, and reports a shared tensor as missing once for
    each module; the checks of fit require those in the file.
    """
    layout, kind = folder.layout, folder.kind
    assert kind is not None
    if key in layout.copies or BIAS_COPY.fullmatch(key) or (kind.is_prompt and key in layout.shared):
        return True
    return any(f".{name.rstrip('.').rpartition('.')[2]}." in key for name in kind.shared_names)


@contextmanager
def switched_off(model: Any) -> Iterator[Any]:
    """Lend the model without the adapter. PEFT's own disable_adapter() would restore the untrained head as well."""
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


def _of_one_task(_: Any, arguments: Arguments, keywords: Keywords) -> tuple[Arguments, Keywords]:
    tasks = torch.full((len(arguments[0]),), TASK, device=arguments[0].device)
    return arguments, {**keywords, "task_ids": tasks}


def _prompt_of_one_task(_: Any, arguments: Arguments) -> Arguments:
    return arguments[0], torch.full((len(arguments[0]),), TASK, device=arguments[0].device)


def _with_embedded_decoder(model: Any, arguments: Arguments, keywords: Keywords) -> tuple[Arguments, Keywords]:
    """Add embeddings of the decoder's ids: PEFT puts the prompt before them, but computes them from labels only."""
    ids = keywords.get("decoder_input_ids")
    embeddings = {"decoder_inputs_embeds": model.word_embeddings(ids)} if ids is not None else {}
    return arguments, {**keywords, **embeddings}


def _invoked(_: Any, arguments: Arguments, keywords: Keywords) -> tuple[Arguments, Keywords]:
    """Activate an aLoRA for whole rows, as if they followed its invocation tokens, which our rows do not hold."""
    ids = keywords.get("input_ids")
    return arguments, {**keywords, "alora_offsets": [ids.shape[1]] * len(ids)} if ids is not None else keywords


def _without_labels(_: Any, arguments: Arguments, keywords: Keywords) -> tuple[Arguments, Keywords]:
    """Pass labels=None: PEFT requires the argument (peft_model.py, _cpt_forward)."""
    return arguments, {"labels": None, **keywords}
