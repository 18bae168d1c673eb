"""Makes PEFT adapters as strangers do: peft and transformers alone, trained for some steps; run by an engine's Python.

.engines/e5/bin/python tests/zoo/make_peft.py BASES OUT [NAME …]     writes OUT/<name>/ and OUT/specimens.jsonl

What is expected of each is written beside it: "" where it must pass, else the one check that must refuse it.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import peft
import torch
import transformers as t
from peft import TaskType, get_peft_model
from writing import main  # beside this script, which its interpreter runs by its path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.specimens import METHODS, OF_SEVERAL_TASKS, VARIANTS

ENGINE = Path(sys.prefix).name
WORDS = {"good": 1, "fine": 1, "great": 1, "bad": 0, "poor": 0, "awful": 0}
NOUNS = ("film", "book", "meal", "room", "cat", "dog")
MODELS = {
    "SEQ_CLS": t.AutoModelForSequenceClassification,
    "TOKEN_CLS": t.AutoModelForTokenClassification,
    "QUESTION_ANS": t.AutoModelForQuestionAnswering,
    "CAUSAL_LM": t.AutoModelForCausalLM,
    "SEQ_2_SEQ_LM": t.AutoModelForSeq2SeqLM,
    "FEATURE_EXTRACTION": t.AutoModel,
    "MASKED_LM": t.AutoModelForMaskedLM,
    "IMAGE": t.AutoModelForImageClassification,
}
PAIRS = {
    "SEQ_CLS": "text-classification", "TOKEN_CLS": "token-classification", "QUESTION_ANS": "question-answering",
    "CAUSAL_LM": "text-generation", "SEQ_2_SEQ_LM": "text2text-generation", "FEATURE_EXTRACTION": "feature-extraction",
    "MASKED_LM": "fill-mask", "IMAGE": "image-classification",
}  # fmt: skip


@dataclass
class Made:
    """One adapter to make: on which base, for which model, with which config, and what happens around saving."""

    base: str
    task: str
    config: Callable[[], Any]
    why: str = ""
    model: dict[str, Any] = field(default_factory=dict)  # more arguments of from_pretrained
    before: Callable[[Any], Any] = lambda model: model  # what is done to the base model first
    after: Callable[[Any], Any] = lambda model: model  # what is done to the trained adapter
    save: dict[str, Any] = field(default_factory=dict)
    files: Callable[[Any, Path, Any], None] = lambda model, folder, tokenizer: None
    expected: dict[str, str] = field(default_factory=dict)  # by engine, where it is not ""
    rows: bool = False
    steps: int = 6
    card: dict[str, Any] = field(default_factory=dict)


ALL: dict[str, Made] = {}


def add(name: str, base: str, task: str, config: Callable[[], Any], why: str = "", **more: Any) -> None:
    assert name not in ALL, name
    ALL[name] = Made(base, task, config, why, **more)


# --- training --------------------------------------------------------------------------------------------------------
def sentences() -> tuple[list[str], torch.Tensor]:
    pairs = list(product(NOUNS, WORDS.items()))
    return [f"the {noun} was {word}" for noun, (word, _) in pairs], torch.tensor([label for _, (_, label) in pairs])


# The inputs on which models that read no text alone are trained, by task; `make_wild` adds to it.
SENSES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "IMAGE": lambda model: {"pixel_values": torch.randn(4, 3, 16, 16), "labels": torch.tensor([0, 1, 0, 1])},
}


def batch_of(made: Made, model: Any, tokenizer: Any) -> dict[str, Any]:
    if made.task in SENSES:
        return SENSES[made.task](model)
    texts, labels = sentences()
    batch = dict(tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False))
    ids = batch["input_ids"]
    if made.task == "SEQ_CLS":
        if model.config.num_labels == 1 or model.config.problem_type == "multi_label_classification":
            labels = torch.nn.functional.one_hot(labels, max(2, model.config.num_labels)).float()
            labels = labels[:, : model.config.num_labels]
        batch["labels"] = labels
    elif made.task == "TOKEN_CLS":
        batch["labels"] = (ids % 2) * batch["attention_mask"]
    elif made.task == "QUESTION_ANS":
        batch |= {
            "start_positions": torch.ones(len(ids), dtype=torch.long),
            "end_positions": torch.full((len(ids),), 3),
        }
    elif made.task != "FEATURE_EXTRACTION":
        batch["labels"] = ids.clone()
    return batch


def felt(answer: Any) -> torch.Tensor:
    """Something to learn from where a model has no loss of its own."""
    hidden = answer.last_hidden_state if "last_hidden_state" in answer else answer.logits_per_image
    return hidden.pow(2).mean()


def train(made: Made, model: Any, tokenizer: Any) -> None:
    batch = batch_of(made, model.get_base_model() if hasattr(model, "get_base_model") else model, tokenizer)
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(wanted, lr=0.05 if made.rows else 0.02)
    for _ in range(made.steps):
        answer = model(**batch)
        loss = answer.loss if "loss" in answer and answer.loss is not None else felt(answer)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def make(made: Made, name: str, bases: Path, out: Path) -> None:
    torch.manual_seed(len(name))
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    source = bases / made.base
    model = MODELS[made.task].from_pretrained(source, **made.model)
    # Whoever trains from the Hub has its id in the model, and so in the config of the adapter.
    model.name_or_path = model.config._name_or_path = f"zoo/{made.base}"
    tokenizer = None if made.task in SENSES else t.PreTrainedTokenizerFast.from_pretrained(source)
    if tokenizer is not None and getattr(model.config.get_text_config(), "pad_token_id", None) is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    model = made.before(model)
    model = get_peft_model(model, made.config())
    train(made, model, tokenizer)
    model = made.after(model)
    model.save_pretrained(folder, **made.save)
    facts = {"license": "apache-2.0", "base_model": f"zoo/{made.base}", "library_name": "peft",
             "pipeline_tag": PAIRS[made.task], **made.card}  # fmt: skip
    (folder / "README.md").write_text(f"---\n{json.dumps(facts, indent=1)}\n---\n# {name}\n")
    if made.rows:
        texts, labels = sentences()
        rows = [{"text": text, "label": label} for text, label in zip(texts, labels.tolist(), strict=True)]
        (folder / "smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made.files(model, folder, tokenizer)


# --- what trainers leave beside an adapter ---------------------------------------------------------------------------
def by_trainer(keep: str) -> Callable[[Any, Path, Any], None]:
    """Some more steps by the real Trainer, whose checkpoint is pushed as it is, or lies in a folder of its own."""

    def files(model: Any, folder: Path, tokenizer: Any) -> None:
        texts, labels = sentences()
        said = tokenizer(texts, padding=True, return_token_type_ids=False)
        rows = [
            {
                "input_ids": said["input_ids"][at],
                "attention_mask": said["attention_mask"][at],
                "labels": labels[at].item(),
            }
            for at in range(len(texts))
        ]
        options = t.TrainingArguments(
            output_dir=str(folder / "run"), max_steps=2, save_steps=2, report_to=[], use_cpu=True, disable_tqdm=True
        )
        trainer = t.Trainer(model=model, args=options, train_dataset=rows, processing_class=tokenizer)
        trainer.train()
        trainer.save_model(str(folder))  # as push_to_hub() does: adapter, tokenizer, training_args.bin
        source, target = folder / "run" / "checkpoint-2", folder / keep
        shutil.copytree(source, target, dirs_exist_ok=True)
        shutil.rmtree(folder / "run")

    return files


def as_sentence_transformers(model: Any, folder: Path, tokenizer: Any) -> None:
    """Add the files that SentenceTransformer.save_pretrained() writes around an adapter."""
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    tokenizer.save_pretrained(folder)
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 128, "do_lower_case": false}')
    (folder / "config_sentence_transformers.json").write_text('{"__version__": {"sentence_transformers": "5.1.0"}}')
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_mean_tokens": true}'
    )


def with_tokenizer(model: Any, folder: Path, tokenizer: Any) -> None:
    tokenizer.save_pretrained(folder)


def second_adapter(model: Any) -> Any:
    """Another adapter on the same model: save_pretrained writes each but "default" into a folder of its own."""
    model.add_adapter(
        "second", peft.LoraConfig(task_type=model.peft_config["default"].task_type, r=2, target_modules=["q_proj"])
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B.second" in name:
                parameter.add_(0.1)
    return model


# --- LoRA on encoders ------------------------------------------------------------------------------------------------
def lora(task: str | None = None, targets: Any = None, **more: Any) -> Callable[[], Any]:
    return lambda: peft.LoraConfig(
        task_type=TaskType[task] if task else None, target_modules=targets, r=more.pop("r", 4), lora_alpha=8, **more
    )


QV = ["query", "value"]
add("bert-seq-cls", "bert", "SEQ_CLS", lora("SEQ_CLS", QV), "the tutorial", rows=True, steps=40)
add("bert-trainer", "bert", "SEQ_CLS", lora("SEQ_CLS", QV), "a Trainer's whole output", files=by_trainer("."))
add(
    "bert-trainer-folder",
    "bert",
    "SEQ_CLS",
    lora("SEQ_CLS", QV),
    "with its checkpoint in a folder",
    files=by_trainer("checkpoint-2"),
)
add(
    "bert-sentence-transformers",
    "bert",
    "FEATURE_EXTRACTION",
    lora("FEATURE_EXTRACTION", QV),
    files=as_sentence_transformers,
)
add("bert-pickled", "bert", "SEQ_CLS", lora("SEQ_CLS", QV), "as old releases saved", save={"safe_serialization": False})
add("bert-with-tokenizer", "bert", "SEQ_CLS", lora("SEQ_CLS", QV), files=with_tokenizer)
add("bert-default-targets", "bert", "SEQ_CLS", lora("SEQ_CLS"), "PEFT's own table of targets")
add(
    "bert-no-task-saved-head",
    "bert",
    "SEQ_CLS",
    lora(None, QV, modules_to_save=["classifier"]),
    "auto_mapping tells the class",
)
add("bert-no-task-no-head", "bert", "SEQ_CLS", lora(None, QV), "the head was trained by nobody",
    expected={"e5": "eval.random-head", "e4": "eval.random-head"})  # fmt: skip
add("bert-token-cls", "bert", "TOKEN_CLS", lora("TOKEN_CLS", QV), model={"num_labels": 5})
add("bert-qa", "bert", "QUESTION_ANS", lora("QUESTION_ANS", QV))
add("bert-embeddings", "bert", "FEATURE_EXTRACTION", lora("FEATURE_EXTRACTION", QV))
add("bert-no-task", "bert", "FEATURE_EXTRACTION", lora(None, QV))
add("bert-mlm", "bert_mlm", "MASKED_LM", lora(None, QV), "a language adapter: no task type exists for it")
add("bert-regex", "bert", "SEQ_CLS", lora("SEQ_CLS", r".*attention\.self\.(query|value)"))
add("bert-all-linear", "bert", "SEQ_CLS", lora("SEQ_CLS", "all-linear"))
add("bert-dense", "bert", "SEQ_CLS", lora("SEQ_CLS", ["query", "key", "value", "dense"]), "dense is in the pooler too")
add("bert-one-layer", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, layers_to_transform=[1]))
add("bert-layers-pattern", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, layers_to_transform=0, layers_pattern="layer"))
add("bert-exclude", "bert", "SEQ_CLS", lora("SEQ_CLS", ["query", "dense"], exclude_modules=r".*pooler.*"))
add(
    "bert-rank-pattern",
    "bert",
    "SEQ_CLS",
    lora("SEQ_CLS", QV, rank_pattern={"value": 2, "layer.0.attention.self.query": 6}, alpha_pattern={"value": 16}),
)
add(
    "bert-rank-pattern-regex",
    "bert",
    "SEQ_CLS",
    lora("SEQ_CLS", QV, rank_pattern={r"layer\.1\..*": 2, r"^bert.encoder.layer.0.attention.self.value": 8}),
)
add("bert-rslora", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, use_rslora=True))
add("bert-dora", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, use_dora=True))
add("bert-lora-bias", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, lora_bias=True))
add("bert-bias-all", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, bias="all"))
add("bert-bias-lora-only", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, bias="lora_only"))
add("bert-pooler-saved", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, modules_to_save=["classifier", "pooler"]))
add("bert-norms-saved", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, modules_to_save=["classifier", "LayerNorm"]))
add("bert-five-labels", "bert", "SEQ_CLS", lora("SEQ_CLS", QV), model={"num_labels": 5})
add("bert-regression", "bert", "SEQ_CLS", lora("SEQ_CLS", QV), model={"num_labels": 1})
add(
    "bert-multi-label",
    "bert",
    "SEQ_CLS",
    lora("SEQ_CLS", QV),
    model={"num_labels": 3, "problem_type": "multi_label_classification"},
)
add(
    "bert-named-labels",
    "bert",
    "SEQ_CLS",
    lora("SEQ_CLS", QV),
    model={"id2label": {0: "sad", 1: "glad"}, "label2id": {"sad": 0, "glad": 1}},
)
add("bert-fp16", "bert", "SEQ_CLS", lora("SEQ_CLS", QV), after=lambda model: model.half())
add("bert-bf16", "bert", "SEQ_CLS", lora("SEQ_CLS", QV), after=lambda model: model.bfloat16())
add("bert-on-embeddings", "bert", "SEQ_CLS", lora("SEQ_CLS", ["query", "word_embeddings"]))
add("bert-tokens", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, trainable_token_indices={"word_embeddings": [6, 9]}))
add("bert-gaussian", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, init_lora_weights="gaussian"))
add("bert-orthogonal", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, init_lora_weights="orthogonal"))
add("bert-init-false", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, init_lora_weights=False))
add("bert-rank-one", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, r=1))
add("bert-rank-32", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, r=32))
add("bert-untrained", "bert", "SEQ_CLS", lora("SEQ_CLS", QV), "a push before training", steps=0,
    expected={"e5": "tensors.all-zero", "e4": "tensors.all-zero"})  # fmt: skip
add("bert-pissa", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, init_lora_weights="pissa"),
    expected={"e5": "config.changes-base", "e4": "config.changes-base"})  # fmt: skip
add("bert-olora", "bert", "SEQ_CLS", lora("SEQ_CLS", QV, init_lora_weights="olora"),
    expected={"e5": "config.changes-base", "e4": "config.changes-base"})  # fmt: skip
add("roberta-seq-cls", "roberta", "SEQ_CLS", lora("SEQ_CLS", QV), "the head is two layers", model={"num_labels": 3})
add("roberta-token-cls", "roberta", "TOKEN_CLS", lora("TOKEN_CLS", QV), model={"num_labels": 7})
add("distilbert-seq-cls", "distilbert", "SEQ_CLS", lora("SEQ_CLS", ["q_lin", "v_lin"]), "pre_classifier is saved too")
add(
    "distilbert-pre-classifier",
    "distilbert",
    "SEQ_CLS",
    lora("SEQ_CLS", ["q_lin"], modules_to_save=["pre_classifier", "classifier"]),
)
add("distilbert-qa", "distilbert", "QUESTION_ANS", lora("QUESTION_ANS", ["q_lin", "v_lin"]))
add("deberta-seq-cls", "deberta", "SEQ_CLS", lora("SEQ_CLS", ["query_proj", "value_proj"]), "PEFT leaves its pooler out",
    expected={"e5": "run.random-weights", "e4": "run.random-weights"})  # fmt: skip
add("deberta-seq-cls-pooler", "deberta", "SEQ_CLS",
    lora("SEQ_CLS", ["query_proj", "value_proj"], modules_to_save=["classifier", "pooler"]))  # fmt: skip
add("deberta-defaults", "deberta", "TOKEN_CLS", lora("TOKEN_CLS"))


# --- LoRA on decoders ------------------------------------------------------------------------------------------------
UNSLOTH = r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?(?:k_proj|v_proj|q_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\.(?:(?:k_proj|v_proj|q_proj|o_proj|gate_proj|up_proj|down_proj)))"
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
add("llama-causal", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "v_proj"]), steps=20)
add("llama-two-adapters", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "v_proj"]), after=second_adapter)
add(
    "llama-sft",
    "llama",
    "CAUSAL_LM",
    lora("CAUSAL_LM", ["q_proj", "v_proj"]),
    "with tokenizer files",
    files=with_tokenizer,
)
add("llama-pickled", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "v_proj"]), save={"safe_serialization": False})
add("llama-defaults", "llama", "CAUSAL_LM", lora("CAUSAL_LM"))
add("llama-seven", "llama", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN))
add("llama-all-linear", "llama", "CAUSAL_LM", lora("CAUSAL_LM", "all-linear"))
add("llama-unsloth-regex", "llama", "CAUSAL_LM", lora("CAUSAL_LM", UNSLOTH))
add("llama-no-task", "llama", "CAUSAL_LM", lora(None, ["q_proj", "v_proj"]))
add("llama-lm-head", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "lm_head"]))
add(
    "llama-whole-embeddings",
    "llama",
    "CAUSAL_LM",
    lora("CAUSAL_LM", ["q_proj"], modules_to_save=["embed_tokens", "lm_head"]),
)
add("llama-lora-embeddings", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "embed_tokens"]))
add("llama-grown", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj"], modules_to_save=["embed_tokens", "lm_head"]),
    "five tokens more", before=lambda model: (model.resize_token_embeddings(101), model)[1])  # fmt: skip
add("llama-grown-by-saving", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "v_proj"]), "save_embedding_layers",
    before=lambda model: (model.resize_token_embeddings(104), model)[1], save={"save_embedding_layers": True})  # fmt: skip
add("llama-embeddings-for-nothing", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "v_proj"]), "the base's own table is saved along",
    save={"save_embedding_layers": True})  # fmt: skip
add("llama-tokens", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj"], trainable_token_indices=[7, 8, 9]))
add(
    "llama-layers",
    "llama",
    "CAUSAL_LM",
    lora("CAUSAL_LM", ["q_proj"], layers_to_transform=[0], layers_pattern="layers"),
)
add("llama-dora", "llama", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN, use_dora=True))
add("llama-dora-rslora", "llama", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN, use_dora=True, use_rslora=True))
add("llama-bf16", "llama", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN), after=lambda model: model.bfloat16())
add("llama-norms", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj"], modules_to_save=["input_layernorm", "norm"]))
add("llama-seq-cls", "llama", "SEQ_CLS", lora("SEQ_CLS", ["q_proj", "v_proj"]), "the head is called score")
add("llama-token-cls", "llama", "TOKEN_CLS", lora("TOKEN_CLS", ["q_proj", "v_proj"]), model={"num_labels": 4})
add(
    "llama-embedder",
    "llama",
    "FEATURE_EXTRACTION",
    lora("FEATURE_EXTRACTION", ["q_proj", "v_proj"]),
    "an e5-mistral of its kind",
)
add("llama-replicated", "llama", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj"], layer_replication=[(0, 2), (0, 2)]),
    expected={"e5": "config.changes-base", "e4": "config.changes-base"})  # fmt: skip
add(
    "llama-alora",
    "llama",
    "CAUSAL_LM",
    lora("CAUSAL_LM", ["q_proj"], alora_invocation_tokens=[6, 7]),
    "activated LoRA that no row of its training woke: it learned nothing",
    expected={"e5": "tensors.all-zero", "e4": "tensors.all-zero"},
)
add("qwen-causal", "qwen", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN), "tied embeddings, biases")
add("qwen-tied-embeddings", "qwen", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj"], modules_to_save=["embed_tokens"]))
add(
    "qwen-tied-both",
    "qwen",
    "CAUSAL_LM",
    lora("CAUSAL_LM", ["q_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=True),
)
add(
    "qwen-embeddings-for-nothing",
    "qwen",
    "CAUSAL_LM",
    lora("CAUSAL_LM", ["q_proj"]),
    save={"save_embedding_layers": True},
)
add("qwen-tokens", "qwen", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj"], trainable_token_indices={"embed_tokens": [7, 8]}))
add("qwen-grown", "qwen", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj"]), before=lambda model: (model.resize_token_embeddings(99), model)[1],
    save={"save_embedding_layers": True})  # fmt: skip
add("qwen-bias-all", "qwen", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj"], bias="all"))
add("qwen3-causal", "qwen3", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN), "heads wider than the width says")
add("mistral-causal", "mistral", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN))
add("mistral-seq-cls", "mistral", "SEQ_CLS", lora("SEQ_CLS", SEVEN), model={"num_labels": 3})
add("gemma-causal", "gemma", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN))
add("phi-fused", "phi", "CAUSAL_LM", lora("CAUSAL_LM", ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]))
add("mixtral-attention", "mixtral", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "v_proj"]))
add("gpt2-causal", "gpt2", "CAUSAL_LM", lora("CAUSAL_LM", ["c_attn"], fan_in_fan_out=True), "Conv1D")
add("gpt2-defaults", "gpt2", "CAUSAL_LM", lora("CAUSAL_LM"))
add("gpt2-all", "gpt2", "CAUSAL_LM", lora("CAUSAL_LM", ["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True))
add("gpt2-all-linear", "gpt2", "CAUSAL_LM", lora("CAUSAL_LM", "all-linear"))
add("gpt2-dora", "gpt2", "CAUSAL_LM", lora("CAUSAL_LM", ["c_attn"], fan_in_fan_out=True, use_dora=True))
add("gpt2-seq-cls", "gpt2", "SEQ_CLS", lora("SEQ_CLS", ["c_attn"], fan_in_fan_out=True))
add("gpt2-lm-head-saved", "gpt2", "CAUSAL_LM", lora("CAUSAL_LM", ["c_attn"], modules_to_save=["lm_head"]))
add("gpt2-wte-saved", "gpt2", "CAUSAL_LM", lora("CAUSAL_LM", ["c_attn"], modules_to_save=["wte"]))
add("gpt2-wte", "gpt2", "CAUSAL_LM", lora("CAUSAL_LM", ["c_attn", "wte"]))
add("neox-causal", "neox", "CAUSAL_LM", lora("CAUSAL_LM", ["query_key_value"]))
add(
    "neox-embed-out",
    "neox",
    "CAUSAL_LM",
    lora("CAUSAL_LM", ["query_key_value"], modules_to_save=["embed_in", "embed_out"]),
    "names of transformers 5 embed_out lm_head",
    expected={"e4": "fit.missing"} if ENGINE == "e5" else {"e5": "fit.unexpected"},
)
add("bloom-causal", "bloom", "CAUSAL_LM", lora("CAUSAL_LM", ["query_key_value", "dense"]))
add("opt-causal", "opt", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "v_proj", "fc1"]))
add("opt-seq-cls", "opt", "SEQ_CLS", lora("SEQ_CLS", ["q_proj", "v_proj"]))

# --- encoder-decoders and images -------------------------------------------------------------------------------------
add("t5-seq2seq", "t5", "SEQ_2_SEQ_LM", lora("SEQ_2_SEQ_LM", ["q", "v"]))
add("t5-all-linear", "t5", "SEQ_2_SEQ_LM", lora("SEQ_2_SEQ_LM", "all-linear"))
add("t5-wi-wo", "t5", "SEQ_2_SEQ_LM", lora("SEQ_2_SEQ_LM", ["q", "k", "v", "o", "wi", "wo"]))
add("t5-no-task", "t5", "SEQ_2_SEQ_LM", lora(None, ["q", "v"]))
add("t5-shared-saved", "t5", "SEQ_2_SEQ_LM", lora("SEQ_2_SEQ_LM", ["q"], modules_to_save=["lm_head"]))
add("bart-seq2seq", "bart", "SEQ_2_SEQ_LM", lora("SEQ_2_SEQ_LM", ["q_proj", "v_proj"]))
add("bart-seq-cls", "bart", "SEQ_CLS", lora("SEQ_CLS", ["q_proj", "v_proj"]), "PEFT does not save a head of this name",
    expected={"e5": "eval.random-head", "e4": "eval.random-head"})  # fmt: skip
add(
    "bart-seq-cls-saved",
    "bart",
    "SEQ_CLS",
    lora("SEQ_CLS", ["q_proj", "v_proj"], modules_to_save=["classification_head"]),
)
add("vit-image", "vit", "IMAGE", lora(None, QV if ENGINE == "e4" else ["q_proj", "v_proj"], modules_to_save=["classifier"]),
    expected={"e4" if ENGINE == "e5" else "e5": "fit.unexpected"})  # fmt: skip

# --- IA3 and prompts -------------------------------------------------------------------------------------------------
for base, task in (("bert", "SEQ_CLS"), ("llama", "CAUSAL_LM"), ("gpt2", "CAUSAL_LM"), ("t5", "SEQ_2_SEQ_LM"), ("opt", "CAUSAL_LM"),
                   ("bloom", "CAUSAL_LM"), ("roberta", "SEQ_CLS"), ("qwen", "CAUSAL_LM")):  # fmt: skip
    add(f"{base}-ia3", base, task, lambda task=task: peft.IA3Config(task_type=TaskType[task]))
add(
    "llama-ia3-own",
    "llama",
    "CAUSAL_LM",
    lambda: peft.IA3Config(
        task_type="CAUSAL_LM", target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]
    ),
)
add(
    "llama-ia3-regex",
    "llama",
    "CAUSAL_LM",
    lambda: peft.IA3Config(
        task_type="CAUSAL_LM", target_modules=r".*\.(k_proj|up_proj)", feedforward_modules=r".*mlp\..*"
    ),
)
for base, task in (("bert", "SEQ_CLS"), ("bert", "FEATURE_EXTRACTION"), ("roberta", "SEQ_CLS"), ("llama", "CAUSAL_LM"),
                   ("llama", "SEQ_CLS"), ("gpt2", "CAUSAL_LM"), ("t5", "SEQ_2_SEQ_LM"), ("bart", "SEQ_2_SEQ_LM"), ("qwen", "CAUSAL_LM"), ("bert", "QUESTION_ANS")):  # fmt: skip
    end = f"{base}-{task.lower().replace('_', '-')}"
    add(f"prompt-{end}", base, task, lambda task=task: peft.PromptTuningConfig(task_type=task, num_virtual_tokens=5))
    add(
        f"p-tuning-{end}",
        base,
        task,
        lambda task=task: peft.PromptEncoderConfig(task_type=task, num_virtual_tokens=5, encoder_hidden_size=16),
    )
add(
    "p-tuning-lstm",
    "llama",
    "CAUSAL_LM",
    lambda: peft.PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=4, encoder_hidden_size=16, encoder_reparameterization_type="LSTM"
    ),
)
for base, task in (("llama", "CAUSAL_LM"), ("gpt2", "CAUSAL_LM"), ("t5", "SEQ_2_SEQ_LM"), ("qwen", "CAUSAL_LM"), ("opt", "CAUSAL_LM")):  # fmt: skip
    add(
        f"prefix-{base}-{task.lower().replace('_', '-')}",
        base,
        task,
        lambda task=task: peft.PrefixTuningConfig(task_type=task, num_virtual_tokens=5),
    )
add(
    "prefix-projected",
    "llama",
    "CAUSAL_LM",
    lambda: peft.PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=5, prefix_projection=True, encoder_hidden_size=24
    ),
)
if ENGINE == "e4":
    add("prefix-bert", "bert", "SEQ_CLS", lambda: peft.PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=5), "transformers 5 takes no prefix here",
        expected={"e5": "load.error"})  # fmt: skip


# --- every method of PEFT, on a decoder and on an encoder ------------------------------------------------------------
OF_BERT = {  # what the modules of a decoder are called in BERT, for the methods that have a place there
    "q_proj": "query", "down_proj": "output.dense", "k_proj": "key", "v_proj": "value", "input_layernorm": "LayerNorm",
    "post_attention_layernorm": "LayerNorm",
}  # fmt: skip


def by_table(said: dict[str, Any]) -> Callable[[], Any]:
    return lambda: peft.get_peft_config(dict(said))


def in_bert(said: dict[str, Any]) -> dict[str, Any]:
    """The same config for BERT."""
    named = ("target_modules", "feedforward_modules")
    renamed = {key: list(dict.fromkeys(OF_BERT[name] for name in said[key])) for key in named if key in said}
    return {**said, **renamed, "task_type": "SEQ_CLS"}


for name, specimen in {**METHODS, "lokr-both": VARIANTS["lokr-both"], "vera-unsaved": VARIANTS["vera-by-seed"]}.items():
    if name in OF_SEVERAL_TASKS:
        continue
    said = specimen.as_config
    add(f"{name}-{specimen.base}", specimen.base, specimen.task, by_table(said))
    if specimen.base == "llama" and set(said.get("target_modules", ())) & OF_BERT.keys():
        add(f"{name}-bert", "bert", "SEQ_CLS", by_table(in_bert(said)))
add(
    "trainable-tokens-tied",
    "qwen",
    "CAUSAL_LM",
    lambda: peft.TrainableTokensConfig(task_type="CAUSAL_LM", token_indices=[6, 7]),
)
add(
    "target-parameters-mixtral",
    "mixtral",
    "CAUSAL_LM",
    lambda: peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, target_modules=["q_proj"], target_parameters=["experts.gate_up_proj"]
    ),
    "tables of experts are of transformers 5; with the older one nothing but q_proj is trained",
    expected={"e4": "fit.unexpected"} if ENGINE == "e5" else {"e5": "fit.missing"},
)

if __name__ == "__main__":
    main(ALL, make)
