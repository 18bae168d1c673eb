"""Makes adapters of the adapters library as strangers do: on several models, with every kind of head; run by engine e4.

.engines/e4/bin/python tests/zoo/make_library.py BASES OUT [NAME …]     writes OUT/<name>/ and OUT/specimens.jsonl
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import adapters
import torch
import transformers as t
from adapters import AutoAdapterModel, init
from writing import main  # beside this script, which its interpreter runs by its path

HEADS: dict[str, Callable[[Any, str], None]] = {
    "": lambda model, name: None,
    "classification": lambda model, name: model.add_classification_head(name, num_labels=3),
    "multi-label": lambda model, name: model.add_classification_head(name, num_labels=3, multilabel=True),
    "tagging": lambda model, name: model.add_tagging_head(name, num_labels=4),
    "qa": lambda model, name: model.add_qa_head(name),
    "causal": lambda model, name: model.add_causal_lm_head(name),
    "seq2seq": lambda model, name: model.add_seq2seq_lm_head(name),
    "masked": lambda model, name: model.add_masked_lm_head(name),
    "two layers": lambda model, name: model.add_classification_head(
        name, layers=2, activation_function="gelu", num_labels=2
    ),
    "pooler": lambda model, name: model.add_classification_head(name, use_pooler=True, num_labels=2),
}


@dataclass
class Made:
    """One adapter to make: on which base, by which config, with which head, saved how."""

    base: str
    config: Any
    head: str = ""
    why: str = ""
    safetensors: bool = True
    named: str = ""
    on: Any = AutoAdapterModel
    expected: dict[str, str] = field(default_factory=dict)


SMALL = {"reduction_factor": 4}
ALL = {
    "bert-seq-bn": Made("bert", adapters.SeqBnConfig(**SMALL), "classification"),
    "bert-string": Made("bert", "seq_bn[reduction_factor=8]", "classification", "a config as text"),
    "bert-double": Made("bert", adapters.DoubleSeqBnConfig(**SMALL), "tagging"),
    "bert-par": Made("bert", adapters.ParBnConfig(**SMALL), "qa"),
    "bert-no-head": Made("bert", adapters.SeqBnConfig(**SMALL), ""),
    "bert-language": Made("bert", adapters.SeqBnInvConfig(**SMALL), "masked", "a language adapter with its head"),
    "bert-language-bare": Made("bert", adapters.DoubleSeqBnInvConfig(**SMALL), ""),
    "bert-multi-label": Made("bert", adapters.SeqBnConfig(**SMALL), "multi-label"),
    "bert-two-layers": Made("bert", adapters.SeqBnConfig(**SMALL), "two layers"),
    "bert-pooler": Made("bert", adapters.SeqBnConfig(**SMALL), "pooler"),
    "bert-lora": Made("bert", adapters.LoRAConfig(r=4, alpha=8), "classification"),
    "bert-lora-all": Made("bert", adapters.LoRAConfig(r=4, alpha=8, intermediate_lora=True, output_lora=True), "classification"),
    "bert-ia3": Made("bert", adapters.IA3Config(), "classification"),
    "bert-prompt": Made("bert", adapters.PromptTuningConfig(prompt_length=4), "classification"),
    "bert-prefix-pickled": Made("bert", adapters.PrefixTuningConfig(prefix_length=4, bottleneck_size=16), "classification", "only a pickle can hold it", safetensors=False),
    "bert-mam-pickled": Made("bert", adapters.MAMConfig(adapters.PrefixTuningConfig(prefix_length=4, bottleneck_size=16), adapters.ParBnConfig(**SMALL)), "classification", safetensors=False),
    "bert-seq-bn-pickled": Made("bert", adapters.SeqBnConfig(**SMALL), "classification", "as save_adapter writes it unasked", safetensors=False),
    "bert-loreft": Made("bert", adapters.LoReftConfig(), "classification"),
    "bert-direft": Made("bert", adapters.DiReftConfig(), "classification"),
    "bert-compacter": Made("bert", adapters.CompacterConfig(phm_dim=2, **SMALL), "classification"),
    "bert-odd-name": Made("bert", adapters.SeqBnConfig(**SMALL), "classification", "a name with a dash, a dot is refused by torch", named="sst-2_v1"),
    "bert-name-of-a-module": Made("bert", adapters.SeqBnConfig(**SMALL), "classification", named="output"),
    "bert-leave-out": Made("bert", adapters.SeqBnConfig(leave_out=[0], **SMALL), "classification"),
    "bert-relu-factors": Made("bert", adapters.SeqBnConfig(reduction_factor={"0": 2, "default": 8}, non_linearity="swish"), "classification"),
    "roberta-seq-bn": Made("roberta", adapters.SeqBnConfig(**SMALL), "classification"),
    "distilbert-seq-bn": Made("distilbert", adapters.SeqBnConfig(**SMALL), "classification"),
    "gpt2-seq-bn": Made("gpt2", adapters.SeqBnConfig(**SMALL), "causal"),
    "gpt2-lora": Made("gpt2", adapters.LoRAConfig(r=4, alpha=4), "causal"),
    "llama-seq-bn": Made("llama", adapters.SeqBnConfig(**SMALL), "causal"),
    "llama-lora": Made("llama", adapters.LoRAConfig(r=4, alpha=4), "classification"),
    "t5-seq-bn": Made("t5", adapters.SeqBnConfig(**SMALL), "seq2seq"),
    "bart-double": Made("bart", adapters.DoubleSeqBnConfig(**SMALL), "classification"),
    "bert-static-head": Made("bert", adapters.SeqBnConfig(**SMALL), "", "on a class of transformers", on=t.AutoModelForSequenceClassification),
}  # fmt: skip


def make(made: Made, name: str, bases: Path, out: Path) -> None:
    torch.manual_seed(len(name))
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    model = made.on.from_pretrained(bases / made.base)
    if made.on is not AutoAdapterModel:
        init(model)
    called = made.named or name.replace("-", "_")
    model.add_adapter(called, config=made.config)
    HEADS[made.head](model, called)
    model.train_adapter(called)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.requires_grad and "parametrizations" not in key:
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.eval()
    model.config.model_name = f"zoo/{made.base}"
    model.save_adapter(str(folder), called, use_safetensors=made.safetensors)
    for path in folder.glob("*.json"):  # whoever trains from the Hub has its id here
        path.write_text(json.dumps(json.loads(path.read_text()) | {"model_name": f"zoo/{made.base}"}))
    (folder / "README.md").write_text(
        "---\ntags:\n- adapter-transformers\n- bert\nlicense: apache-2.0\n---\n# An adapter\n"
    )


if __name__ == "__main__":
    main(ALL, make, engines=["e4"])
