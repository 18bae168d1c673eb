"""Adapters of the tools that write PEFT's format, the adapters library's, and models that hear and see: all must pass."""

from collections.abc import Iterator
from typing import Any

from tests.adapters import CARD, CONFIG, WEIGHTS, Files
from tests.zoo.changes import Change, all_of, config, drop, file, into, renamed
from tests.zoo.wild import tools
from tests.zoo.wild.row import TRAINED, UNLICENSED, UNTASKED, Row

# fmt: off
# Tables: one repository a line.

ENDLESS = "eval.degenerate"  # the small bases of the zoo are random, and some answer nothing or without end
CAUSAL, CLASSES = "text-generation", "text-classification"
LLAMA = {"format": "peft", "kind": "lora", "base": "zoo/llama", "task": CAUSAL}


def said(base: str, task: str, kind: str = "lora", depth: str = "") -> dict[str, str]:
    return {"format": "peft", "kind": kind, "base": f"zoo/{base}", "task": task} | ({"depth": depth} if depth else {})


def trained(name: str, source: str, *changes: Change, task: str = CAUSAL, kind: str = "lora", **more: Any) -> Row:
    """A decoder's or encoder's adapter that must be loaded and run; the base's name is the source's first word."""
    return Row(name, f"peft5/{source}", all_of(*changes), facts=said(source.split("-")[0], task, kind) | more.pop("facts", {}), **more)


def of_trl() -> Iterator[Row]:
    for method, source in (("sft", "llama-seven"), ("dpo", "qwen-causal"), ("grpo", "qwen3-causal"), ("orpo", "mistral-causal"), ("kto", "gemma-causal")):
        base = source.split("-")[0]
        yield trained(f"TRL {method.upper()}", source, tools.trl(f"zoo/{base}", method), warns=(UNLICENSED,))
    yield trained("TRL SFT with two checkpoints", "llama-seven", tools.trl("zoo/llama"), tools.checkpoint(10), tools.checkpoint(20), warns=(UNLICENSED, TRAINED))
    yield trained("TRL SFT, only its checkpoints", "llama-seven", tools.trl("zoo/llama"), tools.checkpoint(10, keep=False), into_only(20), warns=(UNLICENSED, TRAINED))
    yield trained("TRL SFT with logs and state", "llama-all-linear", tools.trl("zoo/llama"), tools.events(), file("trainer_state.json", tools.state()), warns=(UNLICENSED,))
    yield trained("TRL DPO, its reference adapter in a folder", "llama-seven", tools.trl("zoo/llama", "dpo"), into("ref"), warns=(UNLICENSED,))
    yield Row("TRL reward model", "wild5/llama-reward", tools.trl("zoo/llama", "reward", pipeline_tag=CLASSES), warns=(UNLICENSED,), facts=said("llama", CLASSES))
    yield trained("TRL SFT by DoRA", "llama-dora", tools.trl("zoo/llama"), warns=(UNLICENSED,))
    yield trained("TRL SFT with its embeddings", "llama-whole-embeddings", tools.trl("zoo/llama"), warns=(UNLICENSED, "base.vocabulary"))


def into_only(number: int) -> Change:
    """The later checkpoint beside an earlier one: a copy of it under another number."""

    def change(files: Files) -> Files:
        copies = {path.replace("checkpoint-10/", f"checkpoint-{number}/"): data for path, data in files.items() if path.startswith("checkpoint-10/")}
        return {path: data for path, data in files.items() if path not in (CONFIG, WEIGHTS)} | copies

    return change


def of_other_tools() -> Iterator[Row]:
    yield trained("axolotl", "llama-seven", tools.axolotl("zoo/llama", "llama3"))
    yield trained("axolotl on Mistral, with checkpoints", "mistral-causal", tools.axolotl("zoo/mistral", "apache-2.0"), tools.checkpoint(30), warns=(TRAINED,))
    yield trained("axolotl without the Trainer's arguments", "qwen-causal", tools.axolotl("zoo/qwen", "apache-2.0", args=False))
    yield trained("axolotl with DeepSpeed, gathered", "llama-all-linear", tools.axolotl("zoo/llama", "llama3"), tools.deepspeed)
    yield trained("axolotl, lora_modules_to_save", "llama-whole-embeddings", tools.axolotl("zoo/llama", "llama3"), warns=("base.vocabulary",))
    yield trained("state_dict() without PEFT's own function", "llama-seven", renamed(lambda name: name.replace(".weight", ".default.weight")), tools.axolotl("zoo/llama", "llama3"), warns=("tensors.unused",))
    yield trained("LLaMA-Factory", "llama-seven", tools.llama_factory("zoo/llama"))
    yield trained("LLaMA-Factory on Qwen, with checkpoints", "qwen-causal", tools.llama_factory("zoo/qwen"), tools.checkpoint(500), tools.checkpoint(1000), warns=(TRAINED,))
    yield trained("LLaMA-Factory by DoRA and rsLoRA", "llama-dora-rslora", tools.llama_factory("zoo/llama"))
    yield trained("LLaMA-Factory's OFT", "oft-llama", tools.llama_factory("zoo/oft"), kind="oft", facts={"base": "zoo/llama"}, warns=("base.mismatch",))
    yield trained("unsloth, the base in full precision", "llama-seven", tools.unsloth("zoo/llama"))
    yield trained("unsloth, the base in four bits", "llama-seven", tools.unsloth("zoo/llama-bnb-4bit"), warns=("base.quantised",), facts={"base": "zoo/llama-bnb-4bit"})
    yield trained("unsloth, its own four bits", "llama-seven", tools.unsloth("zoo/llama-unsloth-bnb-4bit"), warns=("base.quantised",), facts={"base": "zoo/llama-unsloth-bnb-4bit"})
    yield trained("unsloth with its chat template", "llama-seven", tools.unsloth("zoo/llama"), file("chat_template.jinja", tools.TEMPLATE), warns=("base.chat-template",))
    yield trained("ms-swift from the Hub", "llama-seven", tools.swift("zoo/llama"), warns=(UNLICENSED,))
    yield trained("autotrain", "llama-all-linear", tools.autotrain("zoo/llama"))
    yield trained("autotrain on GPT-2", "gpt2-all-linear", tools.autotrain("zoo/gpt2"))
    yield trained("H2O LLM Studio", "llama-seven", tools.h2o, warns=(UNLICENSED,))
    yield Row("H2O LLM Studio, a classifier's head beside it", "wild5/file-h2o", tools.h2o, warns=(UNLICENSED, "file.pickle"), facts=LLAMA)
    yield trained("Ludwig", "llama-seven", tools.ludwig)
    yield trained("the alignment handbook", "mistral-causal", tools.handbook("zoo/mistral"))
    yield trained("the alignment handbook on Gemma", "gemma-causal", tools.handbook("zoo/gemma"))
    yield Row("torchtune with its own form beside PEFT's", "wild5/file-torchtune", all_of(torchtune_config, tools.peft_card("zoo/llama", CAUSAL)), warns=(UNLICENSED, "file.pickle"), facts={"format": "peft", "kind": "lora", "base": "zoo/llama"})
    yield trained("torchtune, PEFT's form alone", "llama-seven", torchtune_config, tools.peft_card("zoo/llama", CAUSAL), warns=(UNLICENSED,), facts={"task": ""})
    yield trained("NeMo Automodel", "llama-seven", file("automodel_peft_config.json", '{"dim": 4, "alpha": 8, "target_modules": "*_proj"}'), tools.tokenizer_files())
    yield trained("accelerate and a loop of one's own", "bert-seq-cls", drop(CARD), task=CLASSES, warns=(UNLICENSED,))
    yield trained("FSDP, gathered", "llama-all-linear", tools.trl("zoo/llama"), file("pytorch_model_fsdp_0/.metadata", b"\x80"), warns=(UNLICENSED,))
    yield trained("the Trainer, pushed to the hub", "bert-trainer", task=CLASSES, warns=(UNLICENSED, TRAINED))
    yield trained("the Trainer with its checkpoint in a folder", "bert-trainer-folder", task=CLASSES, warns=(TRAINED,))
    yield trained("QLoRA in BF16", "llama-bf16", tools.trl("zoo/llama"), warns=(UNLICENSED,))
    yield trained("a LoRA of all linear layers of Phi-3", "phi-fused", tools.llama_factory("zoo/phi"))
    yield trained("Mixtral's attention", "mixtral-attention", tools.axolotl("zoo/mixtral", "apache-2.0"))
    yield trained("Pythia", "neox-causal", tools.hf_trainer_card("zoo/neox", "apache-2.0"))
    yield trained("BLOOM, the example of PEFT", "bloom-causal", tools.peft_card("zoo/bloom", license="bigscience-bloom-rail-1.0"))
    yield trained("OPT", "opt-causal", tools.peft_card("zoo/opt", license="other"), warns=(ENDLESS,))
    yield Row("Falcon", "wild5/falcon-causal", tools.hf_trainer_card("zoo/falcon", "apache-2.0"), facts=said("falcon", CAUSAL))
    yield Row("Phi-2", "wild5/phi2-causal", tools.trl("zoo/phi2"), warns=(UNLICENSED,), facts=said("phi2", CAUSAL))
    yield Row("PEFT with pickled weights", "wild5/qwen-pickled", tools.peft_card("zoo/qwen", CAUSAL, license="apache-2.0"), facts=said("qwen", CAUSAL))


def torchtune_config(files: Files) -> Files:
    """torchtune's tune_to_peft_adapter_config: four keys and the base."""
    import json

    whole = json.loads(files[CONFIG])
    kept = {key: whole[key] for key in ("r", "lora_alpha", "target_modules", "peft_type", "base_model_name_or_path")}
    return {**files, CONFIG: json.dumps(kept, indent=4).encode(), "original_repo_id.json": b'{"repo_id": "zoo/llama"}'}


def of_releases() -> Iterator[Row]:
    for version in ("0.2", "0.3", "0.5", "0.6", "0.8", "0.10", "0.11", "0.13", "0.14", "0.15", "0.16", "0.17", "0.18"):
        yield trained(f"PEFT {version}", "llama-seven", tools.of_peft(version), tools.peft_card("zoo/llama", CAUSAL, license="llama3"))


def of_encoders() -> Iterator[Row]:
    yield Row("sentence-transformers", "peft5/bert-embeddings", tools.sentence_transformers("zoo/bert"), facts=said("bert", "feature-extraction"))
    yield Row("sentence-transformers on XLM-R", "wild5/xlmr-embeddings", tools.sentence_transformers("zoo/xlmr"), facts=said("xlmr", "feature-extraction"))
    yield Row("sentence-transformers on ModernBERT", "wild5/modernbert-embeddings", tools.sentence_transformers("zoo/modernbert", "pooling_mode_cls_token"), facts=said("modernbert", "feature-extraction"))
    yield Row("an embedder of a decoder", "wild5/mistral-embedder", tools.sentence_transformers("zoo/mistral", "pooling_mode_lasttoken"), facts=said("mistral", "feature-extraction"))
    yield Row("a reranker", "wild5/bert-reranker", tools.cross_encoder("zoo/bert"), facts=said("bert", CLASSES))
    yield Row("NER on XLM-R", "wild5/xlmr-ner", tools.hf_trainer_card("zoo/xlmr", "mit"), facts=said("xlmr", "token-classification"))
    yield Row("topics on ModernBERT", "wild5/modernbert-seq-cls", tools.hf_trainer_card("zoo/modernbert", "apache-2.0"), facts=said("modernbert", CLASSES))
    yield Row("a classifier of a decoder", "wild5/gemma-seq-cls", tools.hf_trainer_card("zoo/gemma", "gemma"), facts=said("gemma", CLASSES))
    for name, source, task in (
        ("sentiment on RoBERTa", "roberta-seq-cls", CLASSES),
        ("NER on DeBERTa", "deberta-defaults", "token-classification"),
        ("QA on DistilBERT", "distilbert-qa", "question-answering"), ("QA on BERT", "bert-qa", "question-answering"),
        ("many labels at once", "bert-multi-label", CLASSES), ("a regression", "bert-regression", CLASSES),
        ("a language adapter", "bert-mlm", "fill-mask"), ("T5 on a summary", "t5-seq2seq", "text2text-generation"),
        ("BART on a translation", "bart-seq2seq", "text2text-generation"),
        ("T5 without a task type", "t5-no-task", "text2text-generation"),
    ):
        base = "bert_mlm" if source == "bert-mlm" else source.split("-")[0]
        warns = (ENDLESS,) if base == "t5" else ()
        yield Row(name, f"peft5/{source}", tools.hf_trainer_card(f"zoo/{base}", "mit"), warns=warns, facts=said(base, task))


# The methods that people use beside LoRA, as PEFT's examples name and save them.
METHODS = {
    "adalora-llama": "adalora", "loha-llama": "loha", "lokr-llama": "lokr", "oft-llama": "oft", "boft-llama": "boft",
    "llama-ia3": "ia3", "vera-llama": "vera", "fourierft-llama": "fourierft", "vblora-llama": "vblora",
    "hra-llama": "hra", "miss-llama": "miss", "ln-tuning-llama": "ln-tuning", "shira-llama": "shira",
    "c3a-llama": "c3a", "road-llama": "road", "randlora-llama": "randlora", "prompt-llama-causal-lm": "prompt-tuning",
    "p-tuning-llama-causal-lm": "p-tuning", "prefix-llama-causal-lm": "prefix-tuning", "cpt-llama": "cpt",
    "adaption-prompt-llama": "adaption-prompt", "delora-llama": "delora", "waveft-llama": "waveft",
}


def of_methods() -> Iterator[Row]:
    for source, kind in METHODS.items():
        yield Row(f"PEFT's example of {kind}", f"peft5/{source}", tools.peft_card("zoo/llama", CAUSAL, license="apache-2.0"), facts=said("llama", CAUSAL, kind))
    yield Row("a prompt on T5", "peft5/prompt-t5-seq-2-seq-lm", tools.peft_card("zoo/t5", license="apache-2.0"), warns=(ENDLESS,), facts=said("t5", "text2text-generation", "prompt-tuning"))
    yield Row("a prompt begun by a text", "peft5/prompt-llama-causal-lm", all_of(config(prompt_tuning_init="TEXT", prompt_tuning_init_text="Classify if the tweet is a complaint", tokenizer_name_or_path="zoo/llama"), tools.peft_card("zoo/llama", CAUSAL, license="apache-2.0")), facts=said("llama", CAUSAL, "prompt-tuning"))


def of_library() -> Iterator[Row]:
    hub = tools.front("# Adapter `x` for zoo/bert\n\nAn [adapter](https://adapterhub.ml) for the `zoo/bert` model.", tags=["adapter-transformers", "bert", "adapterhub:sentiment/sst-2"], license="apache-2.0")
    for name in (
        "bert-seq-bn", "bert-double", "bert-par", "bert-language", "bert-lora", "bert-ia3", "bert-prompt",
        "bert-compacter", "bert-loreft", "bert-seq-bn-pickled", "bert-prefix-pickled", "roberta-seq-bn", "gpt2-lora",
        "llama-seq-bn",
    ):
        base = name.split("-")[0]
        warns = {"bert-par": (ENDLESS,), "bert-language": (UNTASKED,)}.get(name, ())
        yield Row(f"AdapterHub: {name}", f"library/{name}", hub, warns=warns, facts={"format": "adapters", "base": f"zoo/{base}"}, engines=("e4",))


def of_senses() -> Iterator[Row]:
    """Never the hub's fault: where no rows of ours fit, the adapter is fitted to the shapes of its base."""
    for name, source, base, kind in (
        ("Whisper, the fine-tuning that everybody copies", "whisper-asr", "whisper", "lora"),
        ("Whisper, its decoder", "whisper-decoder", "whisper", "lora"),
        ("Whisper by AdaLoRA", "whisper-adalora", "whisper", "adalora"),
        ("CLIP, both towers", "clip-towers", "clip", "lora"),
        ("CLIP, the tower of pictures", "clip-vision", "clip", "lora"),
        ("SigLIP", "siglip-towers", "siglip", "lora"),
        ("wav2vec2 on CTC", "wav2vec2-ctc", "wav2vec2", "lora"),
        ("wav2vec2 on keywords", "wav2vec2-keywords", "wav2vec2", "lora"),
        ("DINOv2", "dinov2-image", "dinov2", "lora"),
        ("Gemma 3, its language", "gemma3-language", "gemma3", "lora"),
        ("Gemma 3, both", "gemma3-both", "gemma3", "lora"),
        ("Gemma 3, all linear layers", "gemma3-linear", "gemma3", "lora"),
        ("Gemma 3 as a decoder", "gemma3-text-only", "gemma3", "lora"),
        ("Qwen2-VL", "qwen2vl-language", "qwen2vl", "lora"),
    ):
        # Trained on texts alone here, the tower of pictures learned nothing: its B is zero, which is said.
        warns = ("tensors.all-zero",) if source in ("gemma3-both", "gemma3-linear", "gemma3-text-only") else ()
        yield Row(name, f"wild5/{source}", all_of(), warns=warns, facts={"format": "peft", "kind": kind, "base": f"zoo/{base}"})
    yield Row("ViT", "peft5/vit-image", all_of(), facts=said("vit", "image-classification"))


def every() -> list[Row]:
    parts = (of_trl, of_other_tools, of_releases, of_encoders, of_methods, of_library, of_senses)
    return [row for part in parts for row in part()]
