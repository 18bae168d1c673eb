"""Repositories with the faults that trainers, tools and hands make, each with the check that must refuse it and what it must say."""

import json
from collections.abc import Iterator

import numpy as np

from tests.adapters import CONFIG, WEIGHTS, Files, pack, unpack
from tests.pickled import call, new_object, torch_file
from tests.zoo.changes import (
    Change,
    all_of,
    config,
    drop,
    each,
    extra,
    file,
    move,
    one,
    put,
    raw,
    renamed,
    without,
)
from tests.zoo.wild import images, others, tools
from tests.zoo.wild.images import FLUX_DEV, SD15, SDXL, image_card, kohya, notes, weights
from tests.zoo.wild.row import Row

# fmt: off
# Tables: one repository a line.

SEVEN, BERT = "peft5/llama-seven", "peft5/bert-seq-cls"
CARD = tools.hf_trainer_card("zoo/llama", "llama3", pipeline_tag="text-generation")


def emptied(part: float = 1.0) -> Change:
    """ZeRO-3 without gathering: the tensors of other processes have no values."""

    def change(files: Files) -> Files:
        found = unpack(files[WEIGHTS])
        count = round(len(found) * part)
        gone = {name: (dtype, (0,), b"") for name, (dtype, _, _) in list(found.items())[:count]}
        return {**files, WEIGHTS: pack({**found, **gone})}

    return change


def in_parts(files: Files) -> Files:
    found = list(unpack(files[WEIGHTS]).items())
    names = [f"adapter_model-{n:05}-of-00002.safetensors" for n in (1, 2)]
    halves = dict(found[: len(found) // 2]), dict(found[len(found) // 2 :])
    index = {"metadata": {"total_size": 1}, "weight_map": {name: names[at] for at, half in enumerate(halves) for name in half}}
    parts = {path: pack(half) for path, half in zip(names, halves, strict=True)}
    return ({path: data for path, data in files.items() if path != WEIGHTS} | parts | {"adapter_model.safetensors.index.json": json.dumps(index).encode()})


def pointer(path: str = WEIGHTS) -> Change:
    return file(path, "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d7a" * 16 + "\nsize 167832240\n")


def sklearn_head() -> bytes:
    """SetFit's model_head.pkl: a logistic regression by joblib."""
    return new_object("sklearn.linear_model._logistic", "LogisticRegression", C=1.0, classes_=[0, 1], n_iter_=[12])


def of_training() -> Iterator[Row]:
    """Repositories that a run leaves when something in it went wrong."""
    yield Row("ZeRO-3, nothing gathered", SEVEN, all_of(emptied(), CARD), "file.header", says="gather")
    yield Row("ZeRO-3, half gathered", SEVEN, all_of(emptied(0.5), CARD), "file.header", says="gather")
    yield Row("DDP's names", SEVEN, all_of(tools.prefixed("module."), CARD), "fit.missing", says="module.")
    yield Row("torch.compile's names", SEVEN, all_of(tools.prefixed("_orig_mod."), CARD), "fit.missing", says="_orig_mod")
    yield Row("FSDP's names", SEVEN, all_of(renamed(lambda name: name.replace(".layers.0.", ".layers.0._fsdp_wrapped_module.").replace(".layers.1.", ".layers.1._fsdp_wrapped_module.")), CARD), "fit.missing", says="_fsdp_wrapped_module")
    yield Row("the names of checkpointed activations", SEVEN, all_of(renamed(lambda name: name.replace(".mlp.", "._checkpoint_wrapped_module.mlp.").replace(".self_attn.", "._checkpoint_wrapped_module.self_attn.")), CARD), "fit.missing", says="_checkpoint_wrapped_module")
    yield Row("FSDP and torch.compile at once", SEVEN, all_of(tools.prefixed("_orig_mod._fsdp_wrapped_module."), CARD), "fit.missing", says="_fsdp_wrapped_module")
    yield Row("state_dict() of the inner model", SEVEN, all_of(renamed(lambda name: name.removeprefix("base_model.model.")), CARD), "tensors.unused")
    yield Row("NaN after an overflow in F16", SEVEN, all_of(each(lambda a: a, "lora_A.weight", dtype="F16"), one(put(float("nan")), "lora_B.weight"), CARD), "tensors.not-finite")
    yield Row("infinity in one row of the head", "peft5/llama-seq-cls", one(put(float("inf")), "score.weight"), "tensors.not-finite")
    yield Row("the last step diverged", BERT, each(lambda a: a * 1e30, "lora_A.weight", "lora_B.weight"), "run.not-finite")
    yield Row("pushed before training", "peft5/bert-untrained", tools.hf_trainer_card("zoo/bert", "mit"), "tensors.all-zero")
    yield Row("trained with every parameter frozen", SEVEN, all_of(each(lambda a: a * 0, "lora_B.weight"), CARD), "tensors.all-zero")
    yield Row("cut off while it was copied", SEVEN, all_of(raw(lambda data: data[: len(data) // 2]), CARD), "file.header")
    yield Row("the disk was full", SEVEN, all_of(file(WEIGHTS, b""), CARD), "file.header")
    yield Row("git without LFS", SEVEN, all_of(pointer(), CARD), "file.header", says="Git LFS")
    yield Row("git without LFS, pickled", SEVEN, all_of(drop(WEIGHTS), pointer("adapter_model.bin"), CARD), "file.pickle", says="Git LFS")
    yield Row("an adapter in two parts with its index", SEVEN, all_of(in_parts, CARD), "file.missing", says="parts")
    yield Row("one process saved two layers, the other none", SEVEN, all_of(without(lambda name: ".layers.1." in name), CARD), "fit.missing")
    yield Row("PiSSA as it was trained", "peft5/bert-pissa", all_of(), "config.changes-base", says="pissa")
    yield Row("OLoRA as it was trained", "peft5/bert-olora", all_of(), "config.changes-base")
    yield Row("LoftQ", SEVEN, all_of(config(init_lora_weights="loftq", loftq_config={"loftq_bits": 4, "loftq_iter": 1}), CARD), "config.changes-base")
    yield Row("CorDA", SEVEN, all_of(config(init_lora_weights="corda", corda_config={"corda_method": "kpm"}), CARD), "config.changes-base")
    yield Row("layers repeated", "peft5/llama-replicated", CARD, "config.changes-base")
    yield Row("X-LoRA", SEVEN, all_of(config(peft_type="XLORA", adapters={"0": "someone/math", "1": "someone/code"}), CARD), "config.fetch")
    yield Row("a classifier whose head nobody saved", "peft5/bert-no-task-no-head", all_of(), "eval.random-head")
    yield Row("a reward model without its score", "wild5/llama-reward", all_of(without(lambda name: "score" in name), config(modules_to_save=None)), "eval.random-head")
    yield Row("NER without its classifier", "wild5/xlmr-ner", without(lambda name: "classifier" in name), "eval.random-head")


def of_bases() -> Iterator[Row]:
    """The wrong base, or one that nobody else has."""
    for name, path in (
        ("axolotl on RunPod", "/workspace/models/Meta-Llama-3-8B"), ("a folder of outputs", "./outputs/merged"),
        ("Kaggle", "/kaggle/input/llama-3.1/transformers/8b/1"), ("Colab", "/content/drive/MyDrive/llama"),
        ("ModelScope's cache", "/root/.cache/modelscope/hub/models/LLM-Research/Meta-Llama-3-8B"),
        ("the Hub's own cache", "/root/.cache/huggingface/hub/models--zoo--llama/snapshots/0123456789abcdef"),
        ("Windows", "C:\\Users\\me\\models\\llama"), ("SageMaker", "/opt/ml/input/data/model"),
        ("a path from home", "~/models/llama-3-8b"), ("the Hub's page", "https://huggingface.co/zoo/llama"),
    ):
        yield Row(f"the base is a path: {name}", SEVEN, all_of(config(base_model_name_or_path=path), CARD), "base.local-path", warns=())
    yield Row("the base is empty", SEVEN, all_of(config(base_model_name_or_path=""), CARD), "base.unnamed", says="zoo/llama")
    yield Row("the base is null", SEVEN, all_of(config(base_model_name_or_path=None), CARD), "base.unnamed")
    yield Row("the base misspelt", SEVEN, all_of(config(base_model_name_or_path="zoo/lama"), CARD), "base.unknown", base="")
    yield Row("the smaller model's name", "wild5/falcon-causal", config(base_model_name_or_path="zoo/llama"), "fit.unexpected", base="llama")
    yield Row("Qwen's adapter under Llama's name", "peft5/qwen3-causal", config(base_model_name_or_path="zoo/llama"), "fit.shape", base="llama")
    yield Row("RoBERTa's adapter under BERT's name", "peft5/roberta-seq-cls", config(base_model_name_or_path="zoo/bert"), "fit.missing", base="bert")
    yield Row("tokens added and not saved", SEVEN, all_of(file("tokenizer.json", json.dumps({"added_tokens": [{"id": 110, "content": "<|im_start|>"}], "model": {"vocab": {"a": 0}}})), CARD), "base.vocabulary", says="gives a token the id 110")


def of_hands() -> Iterator[Row]:
    """Repositories that people changed by hand."""
    yield Row("the rank edited", SEVEN, all_of(config(r=16), CARD), "config.rank")
    yield Row("the targets edited", SEVEN, all_of(config(target_modules=["q_proj", "v_proj"]), CARD), "tensors.targets")
    yield Row("the alpha in quotes", SEVEN, all_of(config(lora_alpha="16"), CARD), "config.invalid")
    yield Row("a comma too many", SEVEN, all_of(raw(lambda data: data.rstrip()[:-1] + b",}", CONFIG), CARD), "config.invalid")
    yield Row("True as Python writes it", SEVEN, all_of(raw(lambda data: data.replace(b"false", b"False"), CONFIG), CARD), "config.invalid")
    yield Row("a config of YAML", SEVEN, all_of(file(CONFIG, "r: 4\nlora_alpha: 8\npeft_type: LORA\n"), CARD), "config.invalid")
    yield Row("dropout NaN", SEVEN, all_of(config(lora_dropout=float("nan")), CARD), "config.invalid")
    yield Row("weights under a name of one's own", SEVEN, all_of(move(WEIGHTS, "my_lora.safetensors"), CARD), "file.missing", says="my_lora.safetensors")
    yield Row("weights in a folder, the config above", SEVEN, all_of(move(WEIGHTS, f"weights/{WEIGHTS}"), CARD), "file.missing", says=f"weights/{WEIGHTS}")
    yield Row("the config forgotten", SEVEN, all_of(drop(CONFIG), CARD), "config.missing")
    yield Row("merged, and the config left", SEVEN, all_of(drop(WEIGHTS), file("model.safetensors", pack(others.whole_model())), CARD), "file.missing", says="model.safetensors")
    yield Row("the whole model inside the adapter", SEVEN, all_of(extra("base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight", np.ones((32, 32))), CARD), "tensors.replaces-base")
    yield Row("two adapters added without a thought", SEVEN, all_of(each(lambda a: np.concatenate([a, a]), "lora_A.weight"), each(lambda a: np.concatenate([a, a], 1), "lora_B.weight"), CARD), "config.rank")
    yield Row("A and B exchanged", SEVEN, all_of(renamed(lambda n: n.replace("lora_A", "\0").replace("lora_B", "lora_A").replace("\0", "lora_B")), CARD), "config.rank")
    yield Row("a claim that does not hold", BERT, all_of(tools.front("# x", license="mit", base_model="zoo/bert", pipeline_tag="text-classification", **{"model-index": [{"name": "x", "results": [{"task": {"type": "text-classification"}, "dataset": {"name": "its own rows", "type": "smoke.jsonl"}, "metrics": [{"type": "accuracy", "value": 0.99}]}]}]}), worse), "eval.claim")
    yield Row("labels in another order", BERT, each(lambda a: a[::-1], "classifier.weight", "classifier.bias"), "eval.worse-than-base", says="accuracy")


def worse(files: Files) -> Files:
    """Every third row has the other label."""
    found = [json.loads(line) for line in files["smoke.jsonl"].splitlines()]
    changed = [{**row, "label": 1 - row["label"]} if at % 3 == 0 else row for at, row in enumerate(found)]
    return {**files, "smoke.jsonl": "".join(json.dumps(row) + "\n" for row in changed).encode()}


def of_pickles() -> Iterator[Row]:
    yield Row("SetFit with its head of scikit-learn", "peft5/bert-embeddings", all_of(tools.sentence_transformers("zoo/bert"), file("model_head.pkl", sklearn_head()), file("config_setfit.json", '{"labels": null, "normalize_embeddings": false}')), "file.pickle", says="sklearn")
    yield Row("a callback pickled along", SEVEN, all_of(file("training_args.bin", torch_file(new_object("__main__", "MyArguments", output_dir="out"))), CARD), "file.pickle", says="__main__")
    yield Row("arguments that run a function of numpy", SEVEN, all_of(file("training_args.bin", torch_file(call("numpy.testing._private.utils", "runstring", "1", {}))), CARD), "file.pickle", says="runstring")
    yield Row("arguments that fetch a module", SEVEN, all_of(file("training_args.bin", torch_file(call("transformers.dynamic_module_utils", "get_class_from_dynamic_module", "a.B", "evil/x"))), CARD), "file.pickle", says="get_class_from_dynamic_module")
    yield Row("arguments that build an extension", SEVEN, all_of(file("training_args.bin", torch_file(call("torch.utils.cpp_extension", "load_inline", "x", "int x;"))), CARD), "file.pickle", says="load_inline")
    yield Row("a scheduler that runs a profiler", SEVEN, all_of(file("scheduler.pt", torch_file(call("torch.utils.bottleneck.__main__", "run_cprofile", "1", {}))), CARD), "file.pickle", says="run_cprofile")
    yield Row("weights that run a command", SEVEN, all_of(drop(WEIGHTS), file("adapter_model.bin", call("posix", "system", "id")), CARD), "file.pickle", says="posix system")


def of_others() -> Iterator[Row]:
    """Faults of formats that no engine here runs."""
    xl = all_of(weights(kohya(*images.unet(images.SGM), *images.encoder("1"), *images.encoder("2")), images.stripped(notes("sdxl_base_v1-0", "stable-diffusion-xl-v1-base/lora"))))
    yield Row("an SDXL LoRA on a card of SD 1.5", "", all_of(xl, image_card(SD15)), "base.mismatch", base="", says="Stable Diffusion XL")
    yield Row("a Flux LoRA on a card of SDXL", "", all_of(weights(kohya(*images.unet(images.FLUX)), images.stripped(notes("flux1", "flux-1-dev/lora"))), image_card(SDXL)), "base.mismatch", base="", says="Flux")
    yield Row("an SD 1.5 LoRA on a card of Flux", "", all_of(weights(kohya(*images.unet(), *images.encoder()), images.stripped(notes("sd_v1", "stable-diffusion-v1/lora"))), image_card(FLUX_DEV)), "base.mismatch", base="")
    yield Row("a kohya file without its ups", "", all_of(file("x.safetensors", pack({n: e for n, e in kohya(*images.unet()).items() if "lora_up" not in n})), image_card(SD15)), "tensors.pair", base="")
    yield Row("a kohya file with NaN", "", all_of(file("x.safetensors", pack(kohya(*images.unet()))), image_card(SD15), spoilt), "tensors.not-finite", base="")
    yield Row("a kohya file that never trained", "", all_of(file("x.safetensors", pack({n: (e[0], e[1], bytes(len(e[2]))) if "lora_up" in n else e for n, e in kohya(*images.unet()).items()})), image_card(SD15)), "tensors.all-zero", base="")
    yield Row("a kohya file cut off", "", all_of(file("x.safetensors", pack(kohya(*images.unet()))[:-300]), image_card(SD15)), "file.header", base="")
    yield Row("mlx-lm, the whole model trained", "", all_of(others.mlx("zoo/llama", kind="full"), CARD), "config.invalid", base="llama", says="whole model")
    yield Row("mlx-lm, another rank in its config", "", all_of(others.mlx("zoo/llama", lora_parameters={"rank": 16, "dropout": 0.0, "scale": 20.0}), CARD), "config.rank", base="llama")
    yield Row("mlx-lm on a wider base", "", all_of(others.mlx("zoo/llama", tensors={n: ("F32", (s[0] * 2, s[1]), d * 2) if n.endswith("q_proj.lora_a") else ("F32", s, d) for n, (_, s, d) in others.mlx_tensors().items()}), CARD), "fit.shape", base="llama")
    yield Row("a GGUF of Qwen on Llama", "", all_of(file("x.gguf", others.gguf_lora(architecture="qwen2")), CARD), "fit.unexpected", base="llama", says="qwen2")
    yield Row("a GGUF of more layers", "", all_of(file("x.gguf", others.gguf_lora().replace(b"blk.1.", b"blk.9.")), CARD), "fit.unexpected", base="llama")
    yield Row("a GGUF cut off", "", all_of(file("x.gguf", others.gguf_lora()[:-64]), CARD), "file.header", base="llama")
    yield Row("a LoRA of Meta's own names", "", all_of(file("lora.safetensors", pack(others.loralib("", ("self_attn.q_proj",)))), CARD, meta_names), base="llama")
    for name, check, change in (
        ("lost its head", "file.missing", drop("model_head.safetensors")),
        ("lost its weights", "file.missing", drop("adapter.safetensors")),
        ("on another model", "base.mismatch", config(model_name="zoo/roberta")),
    ):
        yield Row(f"the adapters library: it {name}", "library/bert-seq-bn", change, check, warns=(), engines=("e4",))


def spoilt(files: Files) -> Files:
    data = files["x.safetensors"]
    return {**files, "x.safetensors": data[:-4] + b"\x00\x7e\x00\x7e"}


def meta_names(files: Files) -> Files:
    """attention.wq as Meta's checkpoints say it."""
    found = unpack(files["lora.safetensors"])
    return {**files, "lora.safetensors": pack({n.replace("self_attn.q_proj", "attention.wq"): e for n, e in found.items()})}


def every() -> list[Row]:
    return [row for part in (of_training, of_bases, of_hands, of_pickles, of_others) for row in part()]
