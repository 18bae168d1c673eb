"""Warms up the parent once for all its children: lazy imports, a first adapter, a first run."""

import tempfile
import warnings
from importlib.metadata import version

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model

from dovetail.adapters.results.findings import some
from workers.engine import checks  # noqa: F401 - imported so that children find them
from workers.engine.evals import choice
from workers.engine.evals.rows import neutral
from workers.engine.models import library
from workers.engine.models.frozen import Frozen
from workers.engine.processes import resident  # noqa: F401 - imported so that children find them
from workers.engine.trials import further_runs, trial, usage  # noqa: F401 - imported so that children find them

FAULTS = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def rehearse(frozen: Frozen) -> None:
    """Save, load and run an adapter on a toy model, and run the base; the frozen base is not changed."""
    toy = torch.nn.Sequential(torch.nn.Linear(4, 4))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        get_peft_model(toy, LoraConfig(target_modules=["0"])).save_pretrained(folder)
        PeftModel.from_pretrained(torch.nn.Sequential(torch.nn.Linear(4, 4)), folder)(torch.zeros(1, 4))
    try:
        with torch.inference_mode():
            list(neutral(frozen, choice.eval_of("FEATURE_EXTRACTION")).answers(frozen.backbone))
    except FAULTS as problem:  # a base with senses that nobody thought of: its adapters are fitted, not run
        what = f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]}"
        frozen.cannot_run = _misread(frozen.config) or what
    frozen.facts("FEATURE_EXTRACTION", 2)
    if frozen.has(library.TASK):
        _rehearse_library()
        frozen.model(library.TASK), frozen.facts(library.TASK, 2)


def _misread(config: transformers.PretrainedConfig) -> str:
    """Return which keys of a base's config this transformers takes for tables, "" if none.

    transformers 5 writes infinity as {"__float__": "Infinity"}, which 4 does not read: so in each Mamba-2 saved by 5.
    """
    keys = [key for key, value in vars(config).items() if "'__float__'" in repr(value)]
    version = transformers.__version__
    return f"transformers {version} does not read {some(keys)} of its config as transformers 5 saves it" if keys else ""


def _rehearse_library() -> None:
    """Save an adapter with a head and load it again, on a tiny BERT."""
    size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 8}
    toy = library.model_class().from_config(transformers.BertConfig(**size))
    toy.add_adapter("toy", config="seq_bn[reduction_factor=2]")
    toy.add_classification_head("toy")
    with tempfile.TemporaryDirectory() as folder:
        toy.save_adapter(folder, "toy", use_safetensors=True)
        toy.load_adapter(folder, use_safetensors=True, set_active=True, load_as="again")
    toy(torch.zeros(1, 2, dtype=torch.long))


def versions() -> dict[str, str]:
    """Return the versions of the libraries that decide what loads; `adapters` only if it is installed."""
    releases = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    if library.IS_HERE:
        releases["adapters"] = version("adapters")
    return releases
