"""Builds each adapter of tests/specimens.py on the tiny bases; run by an engine's interpreter, since it needs PEFT.

.engines/e5/bin/python tests/engine/make_peft.py BASES DIR [NAME…]      writes DIR/<name>/ as save_pretrained() does

Every weight that is trained is moved a little, so that each adapter has an effect; the same seed gives the same bytes.
"""

import json
import sys
import warnings
from pathlib import Path

import torch
import transformers
from peft import get_peft_config, get_peft_model

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.specimens import EVERY

MODELS = {
    "CAUSAL_LM": transformers.AutoModelForCausalLM,
    "SEQ_CLS": transformers.AutoModelForSequenceClassification,
    "TOKEN_CLS": transformers.AutoModelForTokenClassification,
    "SEQ_2_SEQ_LM": transformers.AutoModelForSeq2SeqLM,
    "FEATURE_EXTRACTION": transformers.AutoModel,
}


def build(bases: Path, name: str, folder: Path) -> None:
    """Writes one adapter."""
    wanted = EVERY[name]
    torch.manual_seed(0)
    base = MODELS[wanted.task].from_pretrained(bases / wanted.base, attn_implementation="sdpa")
    model = get_peft_model(base, get_peft_config(wanted.as_config))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * wanted.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder / name)
    path = folder / name / "adapter_config.json"
    said = json.loads(path.read_text()) | {"base_model_name_or_path": f"tiny/{wanted.base}"}
    path.write_text(json.dumps(said, indent=2, sort_keys=True))
    (folder / name / "README.md").unlink(missing_ok=True)


def main(bases: Path, folder: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    for name in names or EVERY:
        try:
            build(bases, name, folder)
        except ImportError as problem:
            print(f"{name}: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
