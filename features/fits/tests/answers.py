"""The rows of this feature in the tests that walk all of the hub."""

LORA = {
    "peft_type": "LORA", "base_model_name_or_path": "openai-community/gpt2", "task_type": "CAUSAL_LM", "r": 8,
    "lora_alpha": 16, "target_modules": ["c_attn"], "exclude_modules": ["c_proj"], "layers_to_transform": [0],
    "layers_pattern": "h", "rank_pattern": {"c_attn": 4}, "alpha_pattern": {"c_attn": 8}, "bias": "none",
    "modules_to_save": ["score"], "fan_in_fan_out": True, "use_rslora": False, "use_dora": False,
}  # fmt: skip
HEADER = {
    "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight": {
        "dtype": "F32", "shape": [8, 768], "data_offsets": [0, 24576]
    },
}  # fmt: skip
BODIES = {("POST", "/api/v1/fit"): {"config": LORA, "header": HEADER}}
ANSWERS = [("POST", "fit", "anonymous", {"config": LORA, "header": HEADER})]
SENT = {"fit": {"config": LORA, "header": HEADER}}
