"""The files that the tools of trainers put around an adapter, each as its own source writes them."""

import json
import pickle
import struct
from typing import Any

from tests.adapters import CARD, CONFIG, WEIGHTS, Files
from tests.pickled import new_object, torch_file
from tests.zoo.changes import Change, all_of, config, drop, file, only, renamed
from tests.zoo.outsiders import V010, V014, V02, V03, V06, png

ENDS_WITH_TEXT = "text-generation"
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
}


def front(text: str, **facts: Any) -> Change:
    """A card as huggingface_hub writes it: front matter of `facts` and a text."""
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in facts.items())
    return file(CARD, f"---\n{lines}---\n{text}\n")


def peft_card(base: str, task: str = "", **facts: Any) -> Change:
    """PEFT's create_or_update_model_card: base, library, tags, the text of a template; no license."""
    tags = [f"base_model:adapter:{base}", "lora", "transformers"]
    said = {"base_model": base, "library_name": "peft", **({"pipeline_tag": task} if task else {}), "tags": tags}
    return front(
        "# Model Card for Model ID\n\n- **License:** [More Information Needed]\n### Framework versions\n\n- PEFT 0.18.0",
        **said,
        **facts,
    )


def hf_trainer_card(base: str, license: str = "", **facts: Any) -> Change:
    """Trainer.create_model_card: a license where the base's card says one, and results that are empty."""
    said = {"library_name": "peft", **({"license": license} if license else {}), "base_model": base,
            "tags": [f"base_model:adapter:{base}", "lora", "transformers", "generated_from_trainer"],
            "model-index": [{"name": "out", "results": []}]}  # fmt: skip
    return front(
        "<!-- This model card has been generated automatically according to the information the Trainer had access to. -->\n\n# out\n\n### Training hyperparameters\n\n- learning_rate: 0.0002",
        **said,
        **facts,
    )


def tokenizer_files(template: bool = False) -> Change:
    files = [
        file("tokenizer_config.json", json.dumps(TOKENIZER)),
        file("special_tokens_map.json", json.dumps({"pad_token": "[PAD]"})),
    ]
    return all_of(*files, *([file("chat_template.jinja", TEMPLATE)] if template else []))


def state(steps: int = 30) -> str:
    """trainer_state.json as the Trainer writes it."""
    log = [
        {"epoch": step / 30, "grad_norm": 0.7, "learning_rate": 2e-4, "loss": 3.0 / step, "step": step}
        for step in (10, 20, 30)
    ]
    return json.dumps({"best_metric": None, "best_model_checkpoint": None, "epoch": 1.0, "eval_steps": 500,
                       "global_step": steps, "is_local_process_zero": True, "log_history": log, "max_steps": steps,
                       "num_train_epochs": 1, "stateful_callbacks": {}, "total_flos": 1.0e12, "train_batch_size": 8})  # fmt: skip


def training_args(module: str = "transformers.training_args", name: str = "TrainingArguments", **values: Any) -> Change:
    said = {
        "output_dir": "out",
        "learning_rate": 2e-4,
        "per_device_train_batch_size": 8,
        "report_to": ["tensorboard"],
        **values,
    }
    return file("training_args.bin", torch_file(new_object(module, name, **said)))


def events(folder: str = "runs/Nov12_09-13-44_a1b2c3") -> Change:
    return file(f"{folder}/events.out.tfevents.1762938824.a1b2c3.1432.0", struct.pack("<QI", 24, 7) + bytes(40))


def checkpoint(number: int, *, keep: bool = True) -> Change:
    """A checkpoint of the Trainer: the adapter and the state beside it, in a folder of its own."""

    def change(files: Files) -> Files:
        start = f"checkpoint-{number}"
        inside = {path: data for path, data in files.items() if path in (CONFIG, WEIGHTS, "tokenizer_config.json")}
        beside = {"trainer_state.json": state(number).encode(), "scheduler.pt": torch_file(pickle.dumps({"last_epoch": number}, protocol=2)),
                  "optimizer.pt": torch_file(pickle.dumps({"state": {}, "param_groups": [{"lr": 1e-4}]}, protocol=2)),
                  "rng_state.pth": torch_file(pickle.dumps({"cpu": 1}, protocol=2))}  # fmt: skip
        kept = files if keep else {path: data for path, data in files.items() if path not in inside}
        return {**kept, **{f"{start}/{path}": data for path, data in (inside | beside).items()}}

    return change


# --- the tools -------------------------------------------------------------------------------------------------------
def trl(base: str, method: str = "sft", **more: Any) -> Change:
    """trl: the template's card (with its `licence: license`), the tokenizer, and what Trainer.push_to_hub() uploads."""
    named = {"sft": ("SFTConfig", "sft_config"), "dpo": ("DPOConfig", "dpo_config"), "grpo": ("GRPOConfig", "grpo_config"),
             "orpo": ("ORPOConfig", "orpo_config"), "kto": ("KTOConfig", "kto_config"), "reward": ("RewardConfig", "reward_config")}  # fmt: skip
    name, module = named[method]
    return all_of(
        front(f"# Model Card for out\n\nThis model is a fine-tuned version of [{base}](https://huggingface.co/{base}).\nIt has been trained using [TRL](https://github.com/huggingface/trl).",
              base_model=base, library_name="peft", model_name="out",
              tags=[f"base_model:adapter:{base}", "lora", method, "transformers", "trl"], licence="license",
              **{"pipeline_tag": "text-generation", **more}),
        tokenizer_files(), training_args(f"trl.trainer.{module}", name),
    )  # fmt: skip


def axolotl(base: str, license: str = "", args: bool = True) -> Change:
    """axolotl: its own config inside the card, the base's config.json, the tokenizer."""
    said = f"<details><summary>See axolotl config</summary>\n\naxolotl version: `0.13.0`\n```yaml\nbase_model: {base}\nadapter: lora\nlora_r: 4\ndatasets:\n  - path: mhenrichsen/alpaca_2k_test\n    type: alpaca\n```\n\n</details><br>"
    card = hf_trainer_card(base, license, datasets=["mhenrichsen/alpaca_2k_test"], pipeline_tag=ENDS_WITH_TEXT)
    return all_of(
        card, lambda files: {**files, CARD: files[CARD] + said.encode()}, tokenizer_files(),
        file("config.json", json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "use_cache": False})),
        file("tokens_state.json", '{"total": 123456, "trainable": 120000}'),
        *([training_args("axolotl.core.training_args", "AxolotlTrainingArguments")] if args else []),
    )  # fmt: skip


def llama_factory(base: str) -> Change:
    """LLaMA-Factory: license other, the curves, the log of each step."""
    return all_of(
        hf_trainer_card(base, "other", pipeline_tag=ENDS_WITH_TEXT), tokenizer_files(),
        file("all_results.json", json.dumps({"epoch": 3.0, "total_flos": 1e12, "train_loss": 1.1, "train_runtime": 60.5})),
        file("train_results.json", json.dumps({"epoch": 3.0, "train_loss": 1.1})),
        file("trainer_log.jsonl", '{"current_steps": 10, "total_steps": 30, "loss": 2.1, "lr": 1e-4, "epoch": 1.0}\n'),
        file("trainer_state.json", state()), file("training_loss.png", png()),
        training_args("llamafactory.hparams.training_args", "TrainingArguments"),
    )  # fmt: skip


def unsloth(base: str, kind: str = "llama") -> Change:
    """unsloth: push_to_hub()'s card, apache-2.0 whatever the base, the regular expression of its targets."""
    regex = r"(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\.(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))"
    mapping = {
        "base_model_class": "LlamaForCausalLM",
        "parent_library": "transformers.models.llama.modeling_llama",
        "unsloth_fixed": True,
    }
    return all_of(
        front("# Uploaded finetuned  model\n\n- **Developed by:** someone\n- **License:** apache-2.0", base_model=base,
              tags=["text-generation-inference", "transformers", "unsloth", kind, "trl"], license="apache-2.0", language=["en"]),
        config(base_model_name_or_path=base, target_modules=regex, auto_mapping=mapping), tokenizer_files(),
    )  # fmt: skip


def swift(base: str, said: str = "") -> Change:
    """ms-swift: args.json with every argument, additional_config.json, and the base's path of ModelScope's cache."""
    args = {
        "model": base,
        "train_type": "lora",
        "lora_rank": 4,
        "dataset": ["AI-ModelScope/alpaca-gpt4-data-en#500"],
        "seed": 42,
    }
    return all_of(
        peft_card(base, ENDS_WITH_TEXT), file("args.json", json.dumps(args)),
        file("additional_config.json", json.dumps({"lora_dtype": None, "lorap_lr_ratio": None, "lorap_emb_lr": 1e-6})),
        file("trainer_state.json", state()), training_args("swift.trainers.arguments", "Seq2SeqTrainingArguments"),
        *([config(base_model_name_or_path=said)] if said else []),
    )  # fmt: skip


def autotrain(base: str) -> Change:
    """autotrain-advanced: a card with widget and license other, training_params.json."""
    params = {
        "model": base,
        "project_name": "my-llm",
        "trainer": "sft",
        "peft": True,
        "lora_r": 4,
        "username": "someone",
        "log": "tensorboard",
    }
    return all_of(
        front("# Model Trained Using AutoTrain", tags=["autotrain", "text-generation-inference", "text-generation", "peft"],
              library_name="transformers", base_model=base, widget=[{"messages": [{"role": "user", "content": "What is your favorite condiment?"}]}],
              license="other"),
        file("training_params.json", json.dumps(params)), tokenizer_files(), events(),
        training_args("trl.trainer.sft_config", "SFTConfig"),
    )  # fmt: skip


def h2o(files: Files) -> Files:
    """H2O LLM Studio's download: the adapter in a folder of its own, the experiment's settings above."""
    inside = {f"adapter_model/{path}": data for path, data in files.items() if path in (CONFIG, WEIGHTS)}
    return {**inside, "cfg.yaml": b"architecture:\n  backbone_dtype: bfloat16\nllm_backbone: zoo/llama\ntraining:\n  lora: true\n  lora_r: 4\n",
            CARD: front("# Model Card", language=["en"], library_name="transformers", tags=["gpt", "llm", "h2o-llmstudio"], inference=False)({})[CARD],
            **{path: data for path, data in files.items() if path.endswith(".pth")}}  # fmt: skip


def ludwig(files: Files) -> Files:
    """Ludwig uploads the folder of its model: the weights in a folder of their own."""
    inside = {f"model_weights/{path}": data for path, data in files.items() if path in (CONFIG, WEIGHTS)}
    about = {"model_hyperparameters.json": b'{"model_type": "llm", "base_model": "zoo/llama", "adapter": {"type": "lora", "r": 4}}',
             "training_set_metadata.json": b'{"text": {"idx2str": []}}', "training_progress.json": b'{"epoch": 3, "steps": 30}'}  # fmt: skip
    return {**inside, **about, CARD: files[CARD]}


def handbook(base: str) -> Change:
    """The alignment handbook: results of train and eval, a claim of the loss, the base's config."""
    return all_of(
        hf_trainer_card(base, "apache-2.0", pipeline_tag=ENDS_WITH_TEXT, datasets=["HuggingFaceH4/ultrachat_200k"]),
        file("all_results.json", '{"epoch": 1.0, "eval_loss": 0.95, "train_loss": 0.97}'), file("eval_results.json", '{"eval_loss": 0.95}'),
        file("train_results.json", '{"train_loss": 0.97}'), file("trainer_state.json", state()), tokenizer_files(), events(),
        training_args("alignment.configs", "SFTConfig"),
    )  # fmt: skip


def sentence_transformers(base: str, pooling: str = "pooling_mode_mean_tokens") -> Change:
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
               {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]  # fmt: skip
    return all_of(
        front("# SentenceTransformer", tags=["sentence-transformers", "sentence-similarity", "feature-extraction", "generated_from_trainer", "dataset_size:900", "loss:MultipleNegativesRankingLoss"],
              base_model=base, pipeline_tag="sentence-similarity", library_name="sentence-transformers", license="apache-2.0"),
        file("modules.json", json.dumps(modules)), file("sentence_bert_config.json", '{"max_seq_length": 128, "do_lower_case": false}'),
        file("config_sentence_transformers.json", '{"__version__": {"sentence_transformers": "5.1.2", "transformers": "4.57.1", "pytorch": "2.9.0"}, "prompts": {"query": "", "document": ""}, "similarity_fn_name": "cosine", "model_type": "SentenceTransformer"}'),
        file("1_Pooling/config.json", json.dumps({"word_embedding_dimension": 32, pooling: True})), tokenizer_files(),
    )  # fmt: skip


def cross_encoder(base: str) -> Change:
    return all_of(
        front("# CrossEncoder", tags=["sentence-transformers", "cross-encoder", "reranker", "generated_from_trainer"], base_model=base,
              pipeline_tag="text-ranking", library_name="sentence-transformers", license="mit"),
        file("config_sentence_transformers.json", '{"__version__": {"sentence_transformers": "5.1.2"}, "model_type": "CrossEncoder"}'), tokenizer_files(),
    )  # fmt: skip


def deepspeed(files: Files) -> Files:
    """DeepSpeed beside the Trainer: a script that gathers, and the name of the last state."""
    return {
        **files,
        "zero_to_fp32.py": b"#!/usr/bin/env python\n# This script extracts fp32 consolidated weights from a zero 1, 2 and 3 DeepSpeed checkpoints.\n",
        "latest": b"global_step30",
    }


def of_peft(version: str) -> Change:
    """A config with the keys of one release of PEFT; `changes.only` keeps the values."""
    v05 = (*V03, "auto_mapping")
    v011 = (*V010, "peft_type")
    v13 = (*V010, "eva_config", "exclude_modules", "lora_bias")
    v15 = (*v13, "corda_config", "trainable_token_indices")
    v17 = (*v15, "qalora_group_size", "use_qalora", "target_parameters")
    v18 = (*v17, "alora_invocation_tokens", "arrow_config", "ensure_weight_tying", "peft_version")
    keys = {"0.2": V02, "0.3": V03, "0.5": v05, "0.6": V06, "0.8": (*V06, "use_rslora"), "0.10": V010, "0.11": v011,
            "0.13": V010, "0.14": V014, "0.15": v15, "0.16": v15, "0.17": v17, "0.18": v18}[version]  # fmt: skip
    more = {"0.2": {"enable_lora": None, "merge_weights": False}, "0.12": {"runtime_config": {"ephemeral_gpu_offload": False}},
            "0.14": {"peft_version": "0.14.0"}, "0.18": {"peft_version": "0.18.0"}}.get(version, {})  # fmt: skip
    return only(*keys, **more)


def prefixed(part: str, after: str = "base_model.model.") -> Change:
    """Names with what a wrapper put into them."""
    return renamed(lambda name: name.replace(after, f"{after}{part}", 1))


def left_out(*names: str) -> Change:
    return drop(*names)
