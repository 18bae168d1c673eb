"""Servability: every rule of every engine is broken once, by the shapes that real adapters have, and is in the docs."""

import io
import json
import math
import re
from pathlib import Path

import pytest

from dovetail.adapters.formats.bases import ARCHITECTURES
from dovetail.adapters.serving import ENGINES, Base, Subject, serving, serving_of
from dovetail.adapters.serving.diffusers import pipeline_of
from dovetail.adapters.serving.peft import downgraded
from tests.sweep import sweep

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "serving-rules.md").read_text()
PREFIX = "base_model.model.model.layers"
RULES = {rule.id: (engine, rule) for engine in ENGINES for rule in engine.rules}
LLAMA_8B = Base("meta-llama/Meta-Llama-3-8B", ("LlamaForCausalLM",), vocabulary=128256, layers=32)
GEMMA = Base("google/gemma-3-4b-it", ("Gemma3ForConditionalGeneration",), vocabulary=262208)
T5 = Base("google-t5/t5-small", ("T5ForConditionalGeneration",))
# As PEFT 0.13 saved it: nothing that a later version added.
PLAIN = {
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "meta-llama/Meta-Llama-3-8B", "r": 16,
    "lora_alpha": 32, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"], "bias": "none", "use_rslora": False,
    "use_dora": False, "lora_dropout": 0.05, "fan_in_fan_out": False, "init_lora_weights": True, "rank_pattern": {},
    "alpha_pattern": {}, "modules_to_save": None, "inference_mode": True, "revision": None, "layer_replication": None,
}  # fmt: skip
SIZES = {"q_proj": (4096, 4096), "k_proj": (4096, 1024), "v_proj": (4096, 1024), "o_proj": (4096, 4096)}
HEAD = {"base_model.model.score.weight": (2, 4096)}
EMBEDDING = {"base_model.model.model.embed_tokens.weight": (128256, 4096)}


def llama(rank=16, modules=SIZES, layers=32, ranks=None):
    """Names and shapes of a LoRA on the attention of Llama-3-8B."""
    found = {}
    for layer in range(layers):
        for name in modules:
            inputs, outputs = SIZES.get(name, (4096, 4096))
            r = (ranks or {}).get(name, rank)
            found[f"{PREFIX}.{layer}.self_attn.{name}.lora_A.weight"] = (r, inputs)
            found[f"{PREFIX}.{layer}.self_attn.{name}.lora_B.weight"] = (outputs, r)
    return found


def adapter(
    tensors=None, *, files=("adapter_config.json", "adapter_model.safetensors"), base=LLAMA_8B, added=None, **config
):
    changed = PLAIN | config
    kept = {key: value for key, value in changed.items() if value != "absent"}
    return Subject(kept, llama() if tensors is None else tensors, files=files, added=added, base=base)


def foreign(tensors, config=None, **more):
    return Subject(config or {}, tensors, **more)


def of_a_state_dict(tensors):
    return {name.replace(".weight", ".default.weight"): shape for name, shape in tensors.items()}


def magnitudes():
    return {f"{PREFIX}.{layer}.self_attn.q_proj.lora_magnitude_vector": (4096,) for layer in range(32)}


def biases():
    return {f"{PREFIX}.{layer}.self_attn.q_proj.lora_B.bias": (4096,) for layer in range(32)}


TABLES = ["experts.gate_up_proj", "experts.down_proj"]


def experts(*modules):
    """A LoRA of rank 16 on the tables of eight experts: as long as rank times experts."""
    found = {}
    for layer in range(32):
        for name in modules or ("experts", "experts.base_layer"):
            found[f"{PREFIX}.{layer}.mlp.{name}.lora_A.weight"] = (128, 4096)
            found[f"{PREFIX}.{layer}.mlp.{name}.lora_B.weight"] = (4096, 128)
    return found


LAYER = "base_model.model.model.layers.0.self_attn.q_proj"
KOHYA = {
    "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (16, 320),
    "lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight": (320, 16),
    "lora_unet_down_blocks_0_attentions_0_proj_in.alpha": (1,),
}
LYCORIS = {"lora_unet_down_blocks_0_attentions_0_proj_in.hada_w1_a": (320, 8)}
UNET = {
    "unet.down_blocks.0.attentions.0.to_q.lora_A.weight": (4, 320),
    "unet.down_blocks.0.attentions.0.to_q.lora_B.weight": (320, 4),
}
MLX_CONFIG = {"fine_tune_type": "lora", "num_layers": 16, "lora_parameters": {"rank": 8, "scale": 20.0, "dropout": 0.0}}
MLX_TENSORS = {
    "model.layers.0.self_attn.q_proj.lora_a": (4096, 8), "model.layers.0.self_attn.q_proj.lora_b": (8, 4096),
}  # fmt: skip
MLX_FILES = ("adapter_config.json", "adapters.safetensors")
IA3 = {f"{PREFIX}.0.self_attn.k_proj.ia3_l": (1024, 1)}
IMAGE_CONFIG = {"auto_mapping": {"base_model_class": "UNet2DConditionModel", "parent_library": "diffusers.models"}}
OFT_EMBEDDING = {"base_model.model.model.embed_tokens.oft_embedding_R.weight": (1, 496)}
ADAPTION = {"base_model.model.model.layers.31.self_attn.adaption_prompt": (1, 10, 4096)}
GROWN = {"base_model.model.model.embed_tokens.base_layer.weight": (128260, 4096)}
TOKENS = {"base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": (3, 4096)}

SEEING = {
    "base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_A.weight": (16, 1152),
    "base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_B.weight": (1152, 16),
}  # fmt: skip
WRAPPED = {
    "Gemma3ForConditionalGeneration": "wrong", "LlavaForConditionalGeneration": "wrong",
    "Qwen3VLForConditionalGeneration": "wrong", "Qwen3_5ForConditionalGeneration": "wrong",
    "Qwen2_5_VLForConditionalGeneration": "serves", "Mistral3ForConditionalGeneration": "serves",
}  # fmt: skip

# One adapter for each rule, that breaks it.
BREAKS = {
    "vllm.own-name": adapter(of_a_state_dict(llama())),
    "vllm.format": adapter(IA3, peft_type="IA3"),
    "vllm.weights": adapter({}),
    "vllm.config-keys": adapter(lora_alpha="absent"),
    "vllm.rank": adapter(llama(rank=1024), r=1024),
    "vllm.dora": adapter(llama() | magnitudes(), use_dora=True),
    "vllm.lora-bias": adapter(llama() | biases(), lora_bias=True),
    "vllm.bias": adapter(llama() | {f"{PREFIX}.0.self_attn.q_proj.bias": (4096,)}, bias="lora_only"),
    "vllm.modules-to-save": adapter(llama() | EMBEDDING, modules_to_save=["embed_tokens"]),
    "vllm.two-heads": adapter(
        llama() | HEAD | {"base_model.model.classifier.weight": (2, 4096)}, modules_to_save=["classifier", "score"]
    ),
    "vllm.undeclared-head": adapter(llama() | HEAD),
    "vllm.half-of-experts": adapter(llama() | experts("experts"), target_parameters=["experts.down_proj"]),
    "vllm.init": adapter(init_lora_weights="pissa_niter_4"),
    "vllm.activated": adapter(alora_invocation_tokens=[1, 2]),
    "vllm.layer-replication": adapter(layer_replication=[[0, 16], [8, 32]]),
    "vllm.block-diagonal": adapter(use_bdlora={"nblocks": 2}),
    "vllm.qalora": adapter(use_qalora=True),
    "vllm.tensor-names": adapter(llama() | TOKENS, trainable_token_indices=[1, 2, 3]),
    "vllm.embedding-width": adapter(
        llama() | {"base_model.model.model.embed_tokens.lora_embedding_A": (16, 128260),
                   "base_model.model.model.embed_tokens.lora_embedding_B": (4096, 16)}
    ),
    "vllm.wrapped-keys": adapter(
        {path.replace("model.layers", "model.language_model.layers"): shape for path, shape in llama().items()}
    ),
    "vllm.vision": adapter(llama() | SEEING, base=GEMMA),
    "vllm.architecture": adapter(base=Base("openai-community/gpt2", ("GPT2LMHeadModel",))),
    "vllm.unknown-architecture": adapter(base=Base("microsoft/deberta-v3-base", ("DebertaV2Model",))),
    "vllm.text-keys": adapter(base=GEMMA),
    "vllm.grown-vocabulary": adapter(llama() | GROWN),
    "sglang.own-name": adapter(of_a_state_dict(llama())),
    "sglang.format": adapter(IA3, peft_type="IA3"),
    "sglang.config-keys": adapter(target_modules=None),
    "sglang.dora": adapter(llama() | magnitudes(), use_dora=True),
    "sglang.added-tokens": adapter(added={"<tool>": 128256}),
    "sglang.target-pattern": adapter(target_modules=r".*self_attn\.(q|v)_proj"),
    "sglang.query-without-value": adapter(llama(modules=["q_proj"]), target_modules=["q_proj"]),
    "sglang.key-without-query": adapter(llama(modules=["k_proj", "v_proj"]), target_modules=["k_proj", "v_proj"]),
    "sglang.tables": adapter(llama() | experts(), target_parameters=TABLES),
    "sglang.ranks": adapter(llama(ranks={"q_proj": 8}), rank_pattern={"q_proj": 8}),
    "sglang.rslora": adapter(use_rslora=True),
    "sglang.alpha-pattern": adapter(alpha_pattern={"q_proj": 64}),
    "sglang.lora-bias": adapter(llama() | biases(), lora_bias=True),
    "sglang.bias": adapter(llama() | {f"{PREFIX}.0.self_attn.q_proj.bias": (4096,)}, bias="lora_only"),
    "sglang.heads": adapter(llama() | HEAD, task_type="SEQ_CLS", modules_to_save=["classifier", "score"]),
    "sglang.embeddings": adapter(llama() | EMBEDDING, modules_to_save=["embed_tokens"]),
    "sglang.changes-base": adapter(init_lora_weights="olora"),
    "sglang.layer-replication": adapter(layer_replication=[[0, 16], [8, 32]]),
    "sglang.activated": adapter(alora_invocation_tokens=[1, 2]),
    "sglang.unknown-architecture": adapter(base=T5),
    "lorax.own-name": adapter(of_a_state_dict(llama())),
    "lorax.config": foreign(KOHYA),
    "lorax.method": adapter(IA3, peft_type="IA3"),
    "lorax.architecture": adapter(base=GEMMA),
    "lorax.activated": adapter(alora_invocation_tokens=[1, 2]),
    "lorax.prefix": adapter({"model.layers.0.self_attn.q_proj.lora_A.weight": (16, 4096)}),
    "lorax.modules": adapter(llama(modules=["q_proj", "in_proj_qkvz"])),
    "lorax.layers": adapter(llama(layers=31)),
    "lorax.rslora": adapter(use_rslora=True),
    "lorax.ranks": adapter(llama(ranks={"q_proj": 8}), rank_pattern={"q_proj": 8}),
    "lorax.alpha-pattern": adapter(alpha_pattern={"q_proj": 64}),
    "lorax.padded-rank": adapter(llama(rank=12), r=12),
    "lorax.dora": adapter(llama() | magnitudes(), use_dora=True),
    "lorax.lora-bias": adapter(llama() | biases(), lora_bias=True),
    "lorax.bias": adapter(llama() | {f"{PREFIX}.0.self_attn.q_proj.bias": (4096,)}, bias="lora_only"),
    "lorax.heads": adapter(llama() | HEAD, modules_to_save=["score"]),
    "lorax.embeddings": adapter(llama() | EMBEDDING, modules_to_save=["embed_tokens"]),
    "lorax.changes-base": adapter(init_lora_weights="pissa"),
    "tgi.own-name": adapter(of_a_state_dict(llama())),
    "tgi.method": adapter(IA3, peft_type="IA3"),
    "tgi.peft": adapter({f"{PREFIX}.0.self_attn.q_proj.randlora_lambda": (32, 1)}, peft_type="RANDLORA"),
    "tgi.adalora": adapter({f"{PREFIX}.0.self_attn.q_proj.lora_A": (12, 4096)}, peft_type="ADALORA"),
    "tgi.weights": adapter({}),
    "tgi.unknown-architecture": adapter(base=T5),
    "tgi.activated": adapter(alora_invocation_tokens=[1, 2]),
    "tgi.prefix": adapter({"model.layers.0.self_attn.q_proj.lora_A.weight": (16, 4096)}),
    "tgi.modules": adapter(llama(modules=["q_proj", "lm_head"])),
    "tgi.layers": adapter(llama(layers=31)),
    "tgi.ranks": adapter(llama(ranks={"q_proj": 8}), rank_pattern={"q_proj": 8}),
    "tgi.alpha-pattern": adapter(alpha_pattern={"q_proj": 64}),
    "tgi.padded-rank": adapter(llama(rank=4), r=4),
    "tgi.dora": adapter(llama() | magnitudes(), use_dora=True),
    "tgi.lora-bias": adapter(llama() | biases(), lora_bias=True),
    "tgi.bias": adapter(llama() | {f"{PREFIX}.0.self_attn.q_proj.bias": (4096,)}, bias="lora_only"),
    "tgi.heads": adapter(llama() | HEAD, modules_to_save=["score"]),
    "tgi.embeddings": adapter(llama() | EMBEDDING, modules_to_save=["embed_tokens"]),
    "tgi.changes-base": adapter(layer_replication=[[0, 16], [8, 32]]),
    "llama.cpp.own-name": adapter(of_a_state_dict(llama())),
    "llama.cpp.format": adapter(IA3, peft_type="IA3"),
    "llama.cpp.alpha": adapter(lora_alpha="absent"),
    "llama.cpp.tensor-names": adapter(llama() | HEAD, modules_to_save=["score"]),
    "llama.cpp.tables": adapter(llama() | experts(), target_parameters=TABLES),
    "llama.cpp.tied-head": adapter(
        {"base_model.model.lm_head.lora_A.weight": (16, 896), "base_model.model.lm_head.lora_B.weight": (151936, 16)},
        base=Base("Qwen/Qwen2.5-0.5B", ("Qwen2ForCausalLM",), tied=True),
    ),
    "llama.cpp.architecture": adapter(base=Base("openai/clip-vit-base-patch32", ("CLIPModel",))),
    "llama.cpp.gguf-architecture": foreign({}, files=("x.gguf",), is_gguf=True, architecture="qwen2", base=LLAMA_8B),
    "llama.cpp.writes-model": adapter(base=Base("x/mistral", ("Mistral3ForConditionalGeneration",))),
    "llama.cpp.vision": adapter(llama() | SEEING, base=GEMMA),
    "llama.cpp.norms": adapter(llama() | {f"{PREFIX}.0.input_layernorm.weight": (4096,)}),
    "llama.cpp.activated": adapter(alora_invocation_tokens=[1, 2]),
    "llama.cpp.rslora": adapter(use_rslora=True),
    "llama.cpp.alpha-pattern": adapter(alpha_pattern={"q_proj": 64}),
    "llama.cpp.embeddings": adapter(llama() | GROWN),
    "llama.cpp.changes-base": adapter(init_lora_weights="pissa"),
    "mlx.format": foreign(KOHYA),
    "mlx.peft": adapter(IA3, peft_type="IA3"),
    "mlx.settings": adapter(init_lora_weights="pissa"),
    "mlx.tensors": adapter(llama() | HEAD, modules_to_save=["score"]),
    "mlx.unlike-modules": adapter(alpha_pattern={"layers.1.self_attn.q_proj": 64}),
    "mlx.keys": adapter(base=GEMMA),
    "mlx.unknown-architecture": adapter(base=Base("allenai/OLMo-1B-hf", ("OlmoForCausalLM",))),
    "mlx.weights": foreign(MLX_TENSORS, MLX_CONFIG, files=("adapter_config.json",)),
    "mlx.config-keys": foreign(MLX_TENSORS, {"fine_tune_type": "lora"}, files=MLX_FILES),
    "mlx.tensor-names": foreign({"model.norm.weight": (4096,)}, MLX_CONFIG, files=MLX_FILES),
    "diffusers.format": adapter(),
    "diffusers.lycoris": foreign(LYCORIS),
    "diffusers.names": foreign(UNET | {"unet.conv_in.weight": (320, 4, 3, 3)}),
    "diffusers.dora-scale": foreign(KOHYA | {"lora_unet_down_blocks_0_attentions_0_proj_in.dora_scale": (320, 1)}),
    "diffusers.prefix": adapter({"base_model.model.down_blocks.0.to_q.lora_A.weight": (4, 320)}, **IMAGE_CONFIG),
    "diffusers.bare-names": foreign({name.removeprefix("unet."): shape for name, shape in UNET.items()}),
    "diffusers.peft-scale": adapter(
        {"base_model.model.transformer_blocks.0.attn.to_q.lora_A.weight": (4, 6144)},
        base_model_name_or_path="black-forest-labs/FLUX.2-dev", r=4, lora_alpha=8, **IMAGE_CONFIG,
    ),
    "diffusers.kohya-sd3": foreign({
        "lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight": (4, 1536),
        "lora_unet_joint_blocks_0_x_block_attn_qkv.lora_up.weight": (4608, 4),
    }),
    "diffusers.comfy-names-ignored": foreign(
        {"diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.lora_A.weight": (4, 2048)}
    ),
    "diffusers.comfy-names": foreign({"diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight": (4, 3072)}),
    "peft-0.18.oft-embedding": adapter(OFT_EMBEDDING, peft_type="OFT"),
    "peft-0.18.own-name": adapter(of_a_state_dict(llama())),
    "peft-0.18.format": foreign(KOHYA),
    "peft-0.18.method": adapter({}, peft_type="UNILORA"),
    "peft-0.18.dropped-keys": adapter(kasa_config={"beta": 0.1}),
    "peft-0.18.initialization": adapter(init_lora_weights="mica"),
    "peft-0.14.adaption-prompt": adapter(ADAPTION, peft_type="ADAPTION_PROMPT"),
    "peft-0.14.oft-embedding": adapter(OFT_EMBEDDING, peft_type="OFT"),
    "peft-0.14.own-name": adapter(of_a_state_dict(llama())),
    "peft-0.14.initialization": adapter(init_lora_weights="orthogonal"),
    "peft-0.14.rank-pattern": adapter(rank_pattern={"^model.layers.0.self_attn.q_proj": 4}),
    "peft-0.14.alpha-pattern": adapter(alpha_pattern={"q_proj|v_proj": 4}),
    "peft-0.14.oft": adapter({f"{LAYER}.oft_R.weight": (4, 6)}, peft_type="OFT"),
    "peft-0.13.adaption-prompt": adapter(ADAPTION, peft_type="ADAPTION_PROMPT"),
    "peft-0.13.oft-embedding": adapter(OFT_EMBEDDING, peft_type="OFT"),
    "peft-0.13.own-name": adapter(of_a_state_dict(llama())),
    "peft-0.13.initialization": adapter(init_lora_weights="eva"),
    "peft-0.13.rank-pattern": adapter(rank_pattern={"q_proj|v_proj": 4}),
    "peft-0.13.alpha-pattern": adapter(alpha_pattern={"^model.layers.1.self_attn.q_proj": 4}),
    "peft-0.13.oft": adapter({f"{LAYER}.oft_R.weight": (4, 6)}, peft_type="OFT"),
    "peft-0.14.format": foreign(KOHYA),
    "peft-0.14.method": adapter({}, peft_type="C3A"),
    "peft-0.14.dropped-keys": adapter(trainable_token_indices=[1]),
    "peft-0.13.format": foreign(KOHYA),
    "peft-0.13.method": adapter({}, peft_type="CPT"),
    "peft-0.13.keys": adapter(exclude_modules=None),
}  # fmt: skip


def asked(engine, subject):
    return next(found for found in serving(subject) if found.engine == engine)


def test_ways_to_initialise_that_a_release_of_peft_knows_are_served():
    for engine, known in (
        ("peft-0.18", (True, False, "gaussian", "orthogonal", "eva")),
        ("peft-0.14", (True, "Gaussian", "eva")),
    ):
        for how in known:
            assert asked(engine, adapter(init_lora_weights=how)).outcome == "serves", (engine, how)
    plain = adapter(rank_pattern={"q_proj": 4}, alpha_pattern={"layers.1.self_attn.v_proj": 8})
    assert asked("peft-0.14", plain).outcome == "serves"
    old = adapter({f"{LAYER}.oft_r": (4, 6, 6)}, peft_type="OFT")
    assert asked("peft-0.14", old).outcome == "serves"


def test_every_rule_has_an_adapter_that_breaks_it():
    assert set(BREAKS) == set(RULES)


@sweep("rule", BREAKS)
def test_an_adapter_that_breaks_a_rule_is_told_so(rule):
    engine, said = RULES[rule]
    found = asked(engine.name, BREAKS[rule])
    assert found.outcome == said.outcome
    assert rule in (found.rules or [])
    assert found.flags == []
    assert "{" not in found.reason


@sweep("rule", BREAKS)
def test_a_rule_is_silent_about_a_plain_lora(rule):
    engine, said = RULES[rule]
    plain = foreign(UNET) if engine.name == "diffusers" else foreign(MLX_TENSORS, MLX_CONFIG, files=MLX_FILES)
    assert not said.applies(plain if engine.name in ("diffusers", "mlx") else adapter())


@sweep("rule", RULES)
def test_every_rule_has_its_line_with_source_and_version(rule):
    _, said = RULES[rule]
    lines = [line for line in DOCS.splitlines() if line.startswith(f"| `{rule}` |")]
    assert len(lines) == 1, rule
    assert f"| {said.outcome} |" in lines[0]
    assert f"`{said.source}`" in lines[0]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine_has_its_heading_with_version_and_project(engine):
    heading = next(line for line in DOCS.splitlines() if line.startswith("## ") and f"`{engine.name}`" in line)
    assert engine.version in heading
    assert f"github.com/{engine.project}" in DOCS


def test_no_line_of_the_page_outlives_its_rule():
    tables = DOCS[DOCS.index("\n## vLLM 0.33.0") :]  # those of rules, behind plugin, folders and manifests
    assert set(re.findall(r"^\| `([\w.-]+)` \|", tables, re.MULTILINE)) == set(RULES)


@pytest.mark.parametrize("engine", ARCHITECTURES)
def test_the_table_of_architectures_is_of_the_release_that_the_rules_name(engine):
    row = ARCHITECTURES[engine]
    assert engine == "llama.cpp" or row["version"] == next(e.version for e in ENGINES if e.name == engine)
    assert row["source"].startswith("https://")
    assert row["lora"] == sorted(row["lora"])
    assert not set(row["lora"]) & set(row.get("without", ()))


@pytest.mark.parametrize("name", WRAPPED)
def test_vllm_finds_names_of_the_whole_model_alone_in_models_that_wrap_a_language_model(name):
    """As eight greedy tokens showed for vLLM 0.32: some map the text model's own names as well."""
    whole = {path.replace("model.layers", "model.language_model.layers"): shape for path, shape in llama().items()}
    base = Base(f"x/{name}", (name,))
    assert asked("vllm", adapter(whole, base=base)).outcome == "serves"
    assert asked("vllm", adapter(base=base)).outcome == WRAPPED[name]


def test_nothing_is_promised_of_an_architecture_that_no_list_has():
    found = {row.engine: row.outcome for row in serving(adapter(base=Base("x/new", ("NewForCausalLM",))))}
    assert {found[name] for name in ("vllm", "sglang", "tgi", "mlx")} == {"unknown"}
    assert {found[name] for name in ("lorax", "llama.cpp")} == {"refuses"}


def test_without_a_base_the_answer_says_that_its_architecture_was_not_asked():
    rows = {row.engine: row for row in serving(adapter(base=Base()))}
    for name in ("vllm", "sglang", "lorax", "tgi", "llama.cpp", "mlx"):
        assert rows[name].outcome == "serves"
        assert rows[name].reason.endswith("so its support there was not checked.")
    assert "not known here" not in rows["peft-0.18"].reason


# --- what people rely on --------------------------------------------------------------------------------------------
def test_rslora_on_sglang_is_red_because_it_is_served_the_root_of_r_too_weak():
    found = asked("sglang", adapter(llama(rank=64), r=64, use_rslora=True))
    assert found.outcome == "wrong"
    assert "8 times too weak" in found.reason
    assert found.rules == ["sglang.rslora"]
    assert asked("vllm", adapter(llama(rank=64), r=64, use_rslora=True)).outcome == "serves"


def test_rslora_of_rank_one_is_served_rightly_everywhere():
    assert asked("sglang", adapter(llama(rank=1), r=1, use_rslora=True)).outcome == "serves"


@pytest.mark.parametrize(
    ("rank", "flag"), [(1, 1), (4, 8), (8, 8), (16, 16), (17, 32), (64, 64), (300, 320), (512, 512)]
)
def test_vllm_needs_the_next_rank_it_can_be_started_with(rank, flag):
    found = asked("vllm", adapter(llama(rank=rank), r=rank))
    assert found.outcome == "serves"
    assert found.flags == ["--enable-lora", f"--max-lora-rank {flag}"]


def test_vllm_counts_the_ranks_of_patterns():
    found = asked("vllm", adapter(llama(ranks={"q_proj": 64}), rank_pattern={"q_proj": 64}))
    assert "--max-lora-rank 64" in found.flags


def test_vllm_takes_one_head_and_is_told_how_many_labels_it_has():
    found = asked("vllm", adapter(llama() | HEAD, task_type="SEQ_CLS", modules_to_save=["classifier", "score"]))
    assert found.outcome == "serves"
    assert "--max-lora-cls-labels 2" in found.flags


def test_vllm_makes_a_classifier_of_a_model_that_generates():
    base = Base("x/judge", ("Qwen2ForSequenceClassification",))
    found = asked("vllm", adapter(llama() | HEAD, base=base, task_type="SEQ_CLS", modules_to_save=["score"]))
    assert found.outcome == "serves"
    assert "--runner pooling" in found.flags
    own = asked("vllm", adapter(base=Base("x/bert", ("BertForSequenceClassification",))))
    assert (own.outcome, own.rules) == ("refuses", ["vllm.architecture"]) or "--runner pooling" not in own.flags
    assert asked("vllm", adapter(base=Base("x/y", ("NewForSequenceClassification",)))).outcome == "unknown"


@pytest.mark.parametrize(
    ("config", "outcome"),
    [({"use_rslora": True}, "serves"), ({"rank_pattern": {"nothing": 4}}, "serves"), ({"bias": "all"}, "refuses")],
    ids=str,
)
def test_mlx_serves_what_converts_without_loss(config, outcome):
    assert asked("mlx", adapter(**config)).outcome == outcome


@pytest.mark.parametrize("name", WRAPPED)
def test_mlx_has_the_names_of_a_model_with_vision_alone(name):
    """As eight greedy tokens and the names that it holds against its own showed for mlx-lm 0.32.2."""
    whole = {path.replace("model.layers", "model.language_model.layers"): shape for path, shape in llama().items()}
    base = Base(f"x/{name}", (name,))
    assert asked("mlx", adapter(whole, base=base)).outcome == "serves"
    assert asked("mlx", adapter(base=base)).outcome == "refuses"
    assert asked("mlx", adapter(whole)).outcome == "refuses"


def test_a_plain_lora_of_all_attention_is_served_by_every_language_server():
    outcomes = {found.engine: found.outcome for found in serving(adapter())}
    assert {name for name, outcome in outcomes.items() if outcome == "serves"} == {
        "vllm", "sglang", "lorax", "tgi", "llama.cpp", "mlx", "peft-0.18", "peft-0.14", "peft-0.13",
    }  # fmt: skip
    assert outcomes["diffusers"] == "refuses"


def test_sglang_gets_its_modules_and_rank():
    assert asked("sglang", adapter()).flags == [
        "--enable-lora", "--max-lora-rank 16", "--lora-target-modules k_proj o_proj q_proj v_proj",
    ]  # fmt: skip


def test_each_foreign_format_is_served_by_its_own_engine():
    assert asked("mlx", foreign(MLX_TENSORS, MLX_CONFIG, files=MLX_FILES)).outcome == "serves"
    assert asked("diffusers", foreign(KOHYA)).outcome == "serves"
    assert asked("diffusers", foreign(UNET)).outcome == "serves"
    assert asked("llama.cpp", foreign({}, files=("router.gguf",), is_gguf=True)).flags == ["--lora router.gguf"]
    assert asked("vllm", foreign(KOHYA)).outcome == "refuses"


def test_a_config_of_today_ends_peft_0_13_and_its_view_does_not():
    today = {**PLAIN, "eva_config": None, "exclude_modules": None, "peft_version": "0.21.2", "lora_bias": False}
    assert asked("peft-0.13", Subject(today, llama())).outcome == "refuses"
    older, lost = downgraded(today, "0.13.2")
    assert lost == []
    assert asked("peft-0.13", Subject(older, llama())).outcome == "serves"


def test_a_view_says_what_it_would_lose():
    _, lost = downgraded({**PLAIN, "trainable_token_indices": [5]}, "0.14.0")
    assert lost == ["trainable_token_indices"]


def test_files_are_read_as_the_hub_reads_them_and_broken_ones_say_nothing():
    names = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (4, 8)}
    files = {"adapter_config.json": json.dumps(PLAIN).encode(), "adapter_model.safetensors": weights(names)}
    assert {found.engine for found in serving_of(opened(files))} == {engine.name for engine in ENGINES}
    assert serving_of(opened(files | {"adapter_model.safetensors": b"\xff" * 20})) == []
    assert serving_of(opened({"README.md": b"# hello"})) == []
    assert serving_of(opened({"adapter_config.json": files["adapter_config.json"], "adapter_model.bin": b"PK"})) == []


def weights(shapes):
    entries, at = {}, 0
    for name, shape in shapes.items():
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + 4 * math.prod(shape)]}
        at += 4 * math.prod(shape)
    head = json.dumps(entries).encode()
    return len(head).to_bytes(8, "little") + head + bytes(at)


def opened(files):
    return {path: (lambda data=data: io.BytesIO(data)) for path, data in files.items()}


def test_a_pair_of_tables_of_experts_is_served_by_vllm_with_the_rank_of_each_expert():
    said = {found.engine: found for found in serving(adapter(llama() | experts(), target_parameters=TABLES))}
    assert said["vllm"].outcome == "serves"
    assert "--max-lora-rank 16" in said["vllm"].flags
    assert said["lorax"].outcome == "wrong"


@pytest.mark.parametrize(
    ("base", "pipeline"),
    [
        ("stabilityai/stable-diffusion-xl-base-1.0", "StableDiffusionXLPipeline"),
        ("somebody/Pony-Diffusion-V6", "StableDiffusionXLPipeline"),
        ("runwayml/stable-diffusion-v1-5", "StableDiffusionPipeline"),
        ("black-forest-labs/FLUX.1-dev", "FluxPipeline"),
        ("Wan-AI/Wan2.1-T2V-14B-Diffusers", "WanPipeline"),
        ("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "WanPipeline 1.3B"),
        ("stabilityai/stable-diffusion-3.5-large", "StableDiffusion3Pipeline 3.5 large"),
        ("Wan-AI/Wan2.2-T2V-A14B-Diffusers", ""),  # of two models
        ("meta-llama/Llama-3.1-8B", ""),
    ],
)
def test_a_pipeline_is_known_by_its_bases_name_where_all_of_that_name_have_one_size(base, pipeline):
    assert pipeline_of(base) == pipeline


def test_diffusers_takes_the_prefix_of_peft_for_flux_2_alone():
    tensors = {"base_model.model.transformer_blocks.0.attn.to_q.lora_A.weight": (4, 6144)}
    for base, outcome in (("black-forest-labs/FLUX.2-dev", "serves"), ("Qwen/Qwen-Image", "wrong")):
        subject = adapter(tensors, **IMAGE_CONFIG, base_model_name_or_path=base, lora_alpha=16)
        assert {row.engine: row.outcome for row in serving(subject)}["diffusers"] == outcome
