"""One specimen of each method of PEFT, and variants of them: the one table from which every test makes its adapters.

It is data alone, so that the tests' interpreter and those of the engines can read it. `tests/engine/make_peft.py` moves
the weights of each at random, `tests/zoo/make_peft.py` trains it as a stranger would. A method that is added to
`dovetail.adapters.methods` needs one row here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TARGETS = ["q_proj", "down_proj"]  # one of them not square
QUERY_VALUE = ["query", "value"]
PROMPT = {"num_virtual_tokens": 4}
WITHOUT_TARGETS = (
    "ADAPTION_PROMPT", "PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING", "CPT", "CARTRIDGE",
)  # fmt: skip


@dataclass(frozen=True)
class Specimen:
    """One adapter: the method, its base and task, what its config says beyond that, and how far weights are moved."""

    peft_type: str
    base: str = "llama"
    task: str = "CAUSAL_LM"
    config: Mapping[str, Any] = field(default_factory=dict)
    size: float = 0.2

    @property
    def as_config(self) -> dict[str, Any]:
        """All that a config of PEFT is made from."""
        return {"peft_type": self.peft_type, "task_type": self.task, **self.config}


def row(peft_type: str, base: str = "llama", task: str = "CAUSAL_LM", size: float = 0.2, **config: Any) -> Specimen:
    targets = {} if peft_type in WITHOUT_TARGETS else {"target_modules": TARGETS}
    return Specimen(peft_type, base, task, targets | config, size)


METHODS: dict[str, Specimen] = {
    "lora": row("LORA", r=4),
    "adalora": row("ADALORA", init_r=4, target_r=2, total_step=10, tinit=1, tfinal=1),
    "loha": row("LOHA", r=4, alpha=4, size=0.5),
    "lokr": row("LOKR", r=2, alpha=2),
    "oft": row("OFT", oft_block_size=8),
    "boft": row("BOFT", boft_block_size=4),
    "ia3": row("IA3", target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "vera": row("VERA", r=8),
    "pvera": row("PVERA", r=8),
    "randlora": row("RANDLORA", r=4),
    "vblora": row("VBLORA", r=4, num_vectors=16, vector_length=8, size=0.5),
    "unilora": row("UNILORA", r=4, theta_d_length=64, size=0.5),
    "tinylora": row("TINYLORA", r=2, u=16, size=0.5),
    "poly": row("POLY", r=4, n_tasks=2, n_skills=2),
    "delora": row("DELORA", r=4),
    "gralora": row("GRALORA", r=8, gralora_k=2),
    "hira": row("HIRA", r=4),
    "hra": row("HRA", r=4),
    "miss": row("MISS", r=8),
    "lily": row("LILY", r=4, num_B=2),
    "peanut": row("PEANUT", r=4),
    "psoft": row("PSOFT", r=4),
    "deft": row("DEFT", r=4),
    "glora": row("GLORA", r=4),
    "osf": row("OSF", effective_rank=24),
    "shira": row("SHIRA", r=4, random_seed=3),
    "supertuning": row("SUPERTUNING", sparsity=0.9),
    "frod": row("FROD", sparse_rate=0.1),
    "fourierft": row("FOURIERFT", n_frequency=64, size=1.0),
    "waveft": row("WAVEFT", n_frequency=64, size=1.0),
    "c3a": row("C3A", block_size=8),
    "road": row("ROAD", group_size=8),
    "beft": row("BEFT", "bert", "SEQ_CLS", target_modules=QUERY_VALUE),
    "ln-tuning": row("LN_TUNING", target_modules=["input_layernorm", "post_attention_layernorm"]),
    "trainable-tokens": row("TRAINABLE_TOKENS", target_modules=["embed_tokens"], token_indices=[5, 6, 7, 9, 12]),
    "adaption-prompt": row("ADAPTION_PROMPT", adapter_len=4, adapter_layers=2),
    "prompt-tuning": row("PROMPT_TUNING", **PROMPT),
    "p-tuning": row("P_TUNING", encoder_hidden_size=16, **PROMPT),
    "prefix-tuning": row("PREFIX_TUNING", size=0.5, **PROMPT),
    "multitask-prompt-tuning": row("MULTITASK_PROMPT_TUNING", num_tasks=2, num_ranks=1, **PROMPT),
    "cpt": row("CPT", cpt_token_ids=[5, 6, 7, 9], cpt_mask=[1] * 4, cpt_tokens_type_mask=[1, 2, 3, 4]),
    "cartridge": row("CARTRIDGE", num_frozen_tokens=1, size=0.5, **PROMPT),
}

# Variants of the same methods: what else a config can say that changes tensors, or what they mean.
LAYER = "model.layers.{}.self_attn.q_proj"
VARIANTS: dict[str, Specimen] = {
    "lora-dora": row("LORA", r=4, use_dora=True),
    "lora-rslora": row("LORA", r=4, use_rslora=True),
    "lora-bias-of-b": row("LORA", r=4, lora_bias=True),
    "lora-one-layer": row("LORA", r=4, layers_to_transform=[1]),
    "lora-one-layer-by-pattern": row("LORA", r=4, layers_to_transform=[1], layers_pattern="layers"),
    "lora-embedding": row("LORA", r=4, target_modules=["embed_tokens", "q_proj"]),
    "lora-tokens": row("LORA", r=4, trainable_token_indices=[5, 7, 9]),
    "lora-tokens-by-name": row("LORA", r=4, trainable_token_indices={"embed_tokens": [5, 7]}),
    "lora-activated": row("LORA", r=4, alora_invocation_tokens=[5, 6]),
    "lora-gaussian": row("LORA", r=4, init_lora_weights="gaussian"),
    "lora-orthogonal": row("LORA", r=4, init_lora_weights="orthogonal"),
    "lora-all-linear": row("LORA", r=4, target_modules="all-linear"),
    "lora-pattern": row("LORA", r=4, target_modules=r".*\.(q|k)_proj$", exclude_modules=r".*1\..*k_proj"),
    "lora-overlapping-patterns": row("LORA", r=4, rank_pattern={"layers.0.self_attn.q_proj": 3, "q_proj": 2},
                                     alpha_pattern={"q_proj": 16, "1.self_attn.q_proj": 32}),
    "lora-conv1d": row("LORA", "gpt2", r=4, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True),
    "lora-conv1d-dora": row("LORA", "gpt2", r=4, target_modules=["c_attn"], fan_in_fan_out=True, use_dora=True),
    "lora-bert-bias": row("LORA", "bert", "SEQ_CLS", r=4, target_modules=["query"], bias="lora_only"),
    "lora-bert-all-biases": row("LORA", "bert", "SEQ_CLS", r=4, target_modules=["query"], bias="all"),
    "lora-bert-pooler-and-biases": row("LORA", "bert", "SEQ_CLS", r=4, target_modules=["query"], bias="all",
                                       modules_to_save=["pooler", "classifier"]),
    "lora-bert-dense-and-biases": row("LORA", "bert", "SEQ_CLS", r=4, target_modules=["query"], bias="all",
                                      modules_to_save=["pooler.dense", "classifier"]),
    "lora-t5": row("LORA", "t5", "SEQ_2_SEQ_LM", r=4, target_modules=["q", "v"]),
    "adalora-fewer-ranks": row("ADALORA", init_r=4, target_r=2, total_step=10, rank_pattern={
        f"{LAYER.format(at)}.lora_E.default": [True, at == 0, False, True] for at in (0, 1)},
        target_modules=["q_proj"]),
    "adalora-gpt2": row("ADALORA", "gpt2", init_r=4, target_r=2, total_step=10, target_modules=["c_attn"],
                        fan_in_fan_out=True),
    "loha-ranks": row("LOHA", r=4, alpha=4, rank_pattern={"down_proj": 2}, alpha_pattern={"q_proj": 8}, size=0.5),
    "lokr-both": row("LOKR", r=1, alpha=2, decompose_both=True, decompose_factor=4),
    "lokr-whole": row("LOKR", r=64, alpha=2),
    "oft-by-rank": row("OFT", r=4, oft_block_size=0),
    "oft-shared": row("OFT", oft_block_size=7, block_share=True, coft=True, use_cayley_neumann=False),
    "oft-embedding": row("OFT", oft_block_size=8, target_modules=["embed_tokens", "q_proj"]),
    "boft-by-number": row("BOFT", boft_block_num=8, boft_block_size=0),
    "boft-bert-biases": row("BOFT", "bert", "SEQ_CLS", target_modules=["query"], bias="boft_only"),
    "ia3-bert": row("IA3", "bert", "SEQ_CLS", target_modules=["key", "value", "output.dense"],
                    feedforward_modules=["output.dense"]),
    "ia3-gpt2": row("IA3", "gpt2", target_modules=["c_attn", "mlp.c_proj"], feedforward_modules=["mlp.c_proj"],
                    fan_in_fan_out=True),
    "vera-by-seed": row("VERA", r=8, save_projection=False, projection_prng_key=5),
    "vera-gpt2": row("VERA", "gpt2", r=8, target_modules=["c_attn"], fan_in_fan_out=True),
    "pvera-by-seed": row("PVERA", r=8, save_projection=False),
    "randlora-by-seed": row("RANDLORA", r=5, save_projection=False, sparse=True),
    "randlora-very-sparse": row("RANDLORA", r=4, very_sparse=True),
    "vblora-only-topk": row("VBLORA", r=4, num_vectors=16, vector_length=8, topk=3, save_only_topk_weights=True,
                            size=0.5),
    "unilora-with-indices": row("UNILORA", r=4, theta_d_length=64, save_indices=True, size=0.5),
    "tinylora-tied": row("TINYLORA", r=2, u=16, weight_tying=0.6, save_projection=False, size=0.5),
    "poly-split": row("POLY", r=4, n_tasks=3, n_skills=2, n_splits=2),
    "delora-ranks": row("DELORA", r=4, rank_pattern={"down_proj": 2}, lambda_pattern={"q_proj": 3}),
    "gralora-hybrid": row("GRALORA", r=8, gralora_k=4, hybrid_r=3),
    "hira-embedding": row("HIRA", r=4, target_modules=["embed_tokens", "q_proj"], rank_pattern={"q_proj": 2}),
    "hra-gs": row("HRA", r=4, apply_GS=True),
    "miss-bat": row("MISS", r=8, init_weights="bat"),
    "miss-mini": row("MISS", r=8, mini_r=4, init_weights="mini"),
    "lily-strides": row("LILY", r=4, num_B=3, stride_A=2),
    "peanut-deep": row("PEANUT", r=4, depth=2, act_fn="gelu"),
    "psoft-free": row("PSOFT", r=4, psoft_orth=False, psoft_mag_a=False),
    "psoft-pissa": row("PSOFT", r=4, ab_svd_init="pissa_init", psoft_svd="lowrank", psoft_mag_b=False),
    "deft-qr": row("DEFT", r=4, decomposition_method="qr", alpha=8),
    "deft-para": row("DEFT", r=4, para=True),
    "glora-vectors": row("GLORA", "bert", "SEQ_CLS", r=4, config_A_B="vector", config_C="vector", config_D_E="vector",
                         target_modules=["query", "output.dense"]),
    "glora-bert": row("GLORA", "bert", "SEQ_CLS", r=4, target_modules=["query", "output.dense"]),
    "glora-constants": row("GLORA", r=4, config_A_B="constant", config_C="none", config_D_E="none"),
    "osf-share": row("OSF", effective_rank=0.75, rank_pattern={"down_proj": 20}),
    "osf-by-default": row("OSF", size=0.05),
    "supertuning-supra": row("SUPERTUNING", sparsity=0.9, r=4, lora_alpha=8, save_precomputed_indices=False),
    "frod-by-seed": row("FROD", sparse_rate=0.1, save_projection=False),
    "fourierft-numbers": row("FOURIERFT", n_frequency=64, n_frequency_pattern={"self_attn.q_proj": 32}, size=1.0),
    "waveft-numbers": row("WAVEFT", n_frequency=64, n_frequency_pattern={"q_proj": 32}, wavelet_family="db2", size=1.0),
    "waveft-proportional": row("WAVEFT", n_frequency=64, proportional_parameters=True, size=1.0),
    "c3a-blocks": row("C3A", block_size=8, block_size_pattern={"q_proj": 16}),
    "road-2": row("ROAD", group_size=8, variant="road_2"),
    "road-4": row("ROAD", group_size=8, variant="road_4"),
    "ln-tuning-bert": row("LN_TUNING", "bert", "SEQ_CLS", target_modules=["LayerNorm"]),
    "trainable-tokens-t5": row("TRAINABLE_TOKENS", "t5", "SEQ_2_SEQ_LM", target_modules=["shared"],
                               token_indices=[5, 6, 7]),
    "trainable-tokens-gpt2": row("TRAINABLE_TOKENS", "gpt2", target_modules=["wte"], token_indices=[5, 6, 7]),
    "adaption-prompt-gpt2": row("ADAPTION_PROMPT", "gpt2", adapter_len=4, adapter_layers=1),
    "prompt-tuning-t5": row("PROMPT_TUNING", "t5", "SEQ_2_SEQ_LM", **PROMPT),
    "prefix-tuning-t5": row("PREFIX_TUNING", "t5", "SEQ_2_SEQ_LM", size=0.5, **PROMPT),
    "prefix-tuning-gpt2-labels": row("PREFIX_TUNING", "gpt2", "SEQ_CLS", size=0.5, **PROMPT),
    "prefix-tuning-llama-labels": row("PREFIX_TUNING", "llama", "SEQ_CLS", size=0.5, **PROMPT),
    "prefix-tuning-projected": row("PREFIX_TUNING", prefix_projection=True, encoder_hidden_size=16, **PROMPT),
    "p-tuning-lstm": row("P_TUNING", encoder_hidden_size=16, encoder_reparameterization_type="LSTM", **PROMPT),
    "cartridge-free": row("CARTRIDGE", num_frozen_tokens=0, size=0.5, **PROMPT),
    "multitask-prompt-tuning-t5": row("MULTITASK_PROMPT_TUNING", "t5", "SEQ_2_SEQ_LM", num_tasks=2, num_ranks=2,
                                      **PROMPT),
    "prompt-tuning-bert": row("PROMPT_TUNING", "bert", "SEQ_CLS", **PROMPT),
}  # fmt: skip
EVERY = {**METHODS, **VARIANTS}
# PEFT gives a head with labels its prefix by a parameter that transformers 5 no longer shows.
ON_TRANSFORMERS_4 = ("prefix-tuning-gpt2-labels", "prefix-tuning-llama-labels")
# A plain training step does not say for which of its tasks a row is.
OF_SEVERAL_TASKS = ("poly", "multitask-prompt-tuning")
