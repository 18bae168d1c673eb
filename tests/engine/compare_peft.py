"""Loads each adapter twice, from its own config as its author would and from our clean one, and compares the outputs.

.engines/e5/bin/python tests/engine/compare_peft.py BASES DIR      prints a JSON object: name → largest difference
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]

import torch
from peft import PeftModel

from dovetail.adapters.readers.folder import Base, Folder, files_in
from tests.engine.make_peft import MODELS
from tests.specimens import EVERY, ON_TRANSFORMERS_4
from workers.engine.formats import clean
from workers.engine.models.methods import ready
from workers.engine.models.structure import manifest

IDS = torch.arange(5, 35).reshape(3, 10)


def answer(base, folder):
    model = ready(PeftModel.from_pretrained(base, folder, "zq_candidate").eval())
    with torch.inference_mode():
        decoded = {"decoder_input_ids": IDS[:, :4]} if model.config.is_encoder_decoder else {}
        said = model(input_ids=IDS, attention_mask=torch.ones_like(IDS), **decoded)
    return said.logits[:, -10:]


def compare(bases, folder, name):
    made = EVERY[name]

    def fresh():
        torch.manual_seed(3)
        return MODELS[made.task].from_pretrained(bases / made.base, attn_implementation="sdpa").eval()

    found = Folder(files_in(folder / name))
    found.base = Base(f"tiny/{made.base}", manifest(fresh()))
    with tempfile.TemporaryDirectory() as ours:
        Path(ours, "adapter_config.json").write_text(json.dumps(clean(found)))
        Path(ours, "adapter_model.safetensors").write_bytes((folder / name / "adapter_model.safetensors").read_bytes())
        torch.manual_seed(5)
        one = answer(fresh(), str(folder / name))
        torch.manual_seed(7)
        return (one - answer(fresh(), ours)).abs().max().item()


def main(bases, folder):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    names = [name for name in EVERY if (folder / name).exists() and name not in ON_TRANSFORMERS_4]
    print(json.dumps({name: compare(bases, folder, name) for name in names}))


main(Path(sys.argv[1]), Path(sys.argv[2]))
