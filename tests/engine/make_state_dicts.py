"""Saves each adapter by hand, from the state dict of its model, and tells what PEFT makes of it under its own name.

.engines/e5/bin/python tests/engine/make_state_dicts.py BASES MADE DIR      writes DIR/<name>/ for each method in MADE

Prints a JSON object: name → the largest difference to the adapter's own outputs, null where PEFT ends with an error.
"""

import json
import shutil
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from tests.engine.make_peft import MODELS
from tests.specimens import METHODS, ON_TRANSFORMERS_4
from workers.engine.models.methods import ready

IDS = torch.arange(5, 35).reshape(3, 10)
WEIGHTS = "adapter_model.safetensors"


def loaded(bases, name, folder):
    torch.manual_seed(3)
    made = METHODS[name]
    base = MODELS[made.task].from_pretrained(bases / made.base, attn_implementation="sdpa").eval()
    torch.manual_seed(5)
    return ready(PeftModel.from_pretrained(base, folder).eval())


def answer(model):
    with torch.inference_mode():
        decoded = {"decoder_input_ids": IDS[:, :4]} if model.config.is_encoder_decoder else {}
        return model(input_ids=IDS, attention_mask=torch.ones_like(IDS), **decoded).logits[:, -10:]


def difference(bases, name, made, folder):
    model = loaded(bases, name, made / name)
    saved = load_file(made / name / WEIGHTS)
    bare = {key.removesuffix(".weight") for key in saved}
    by_hand = {
        key: value
        for key, value in model.state_dict().items()
        if key in saved or (".default" in key and key.replace(".default", "").removesuffix(".weight") in bare)
    }
    if not by_hand:  # a prompt, which has no name of its own in the model
        return None
    shutil.copytree(made / name, folder / name)
    save_file({key: value.clone().contiguous() for key, value in by_hand.items()}, folder / name / WEIGHTS)
    try:
        found = answer(loaded(bases, name, folder / name))
    except (KeyError, ValueError, RuntimeError, AttributeError):
        return None
    return (found - answer(model)).abs().max().item()


def main(bases, made, folder):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    names = [name for name in METHODS if (made / name).exists() and name not in ON_TRANSFORMERS_4]
    print(json.dumps({name: difference(bases, name, made, folder) for name in names}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
