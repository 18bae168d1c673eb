"""Makes the sources of the wild zoo that make_peft.py has not: models that hear and see, rewards, rerankers, more bases.

.engines/e5/bin/python tests/zoo/make_wild.py BASES OUT [NAME …]     writes OUT/<name>/ and OUT/specimens.jsonl

Each is trained by peft and transformers alone; `tests.zoo.wild` puts around it what the tools of trainers leave there.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import make_peft  # beside this script, which its interpreter runs by its path
import peft
import torch
import transformers as t
from make_peft import Made, lora
from writing import main

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
QV = ["q_proj", "v_proj"]
# unsloth/models/vision.py: the language model alone of one that sees, and both of its towers.
LANGUAGE = r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj).*?)"
BOTH = r"(?:.*?(?:vision|image|visual|patch|language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?(?:q_proj|k_proj|v_proj|out_proj|o_proj|fc1|fc2|gate_proj|up_proj|down_proj).*?)"
# peft/examples/int8_training: the self- and cross-attention of Whisper's decoder and encoder.
WHISPER = r".*decoder.*(self_attn|encoder_attn).*(q_proj|v_proj)$"
make_peft.MODELS |= {
    "SPEECH": t.AutoModelForSpeechSeq2Seq,
    "TOWERS": t.AutoModel,
    "CTC": t.AutoModelForCTC,
    "AUDIO": t.AutoModelForAudioClassification,
    "SEEING": t.AutoModelForImageTextToText,
}
make_peft.PAIRS |= {
    "SPEECH": "automatic-speech-recognition", "TOWERS": "zero-shot-image-classification",
    "CTC": "automatic-speech-recognition", "AUDIO": "audio-classification", "SEEING": "image-text-to-text",
}  # fmt: skip
make_peft.SENSES |= {
    "SPEECH": lambda model: {"input_features": torch.randn(2, 8, 64), "labels": torch.randint(4, 96, (2, 6))},
    "TOWERS": lambda model: {"pixel_values": torch.randn(4, 3, 16, 16), "input_ids": torch.randint(4, 96, (4, 8))},
    "CTC": lambda model: {"input_values": torch.randn(2, 800), "labels": torch.randint(4, 96, (2, 4))},
    "AUDIO": lambda model: {"input_values": torch.randn(4, 800), "labels": torch.tensor([0, 1, 0, 1])},
}
ALL: dict[str, Made] = {}


def add(name: str, base: str, task: str, config: Callable[[], Any], why: str = "", **more: Any) -> None:
    assert name not in ALL, name
    ALL[name] = Made(base, task, config, why, **more)


add("whisper-asr", "whisper", "SPEECH", lora(None, QV), "the fine-tuning of Whisper that everybody copies")
add("whisper-decoder", "whisper", "SPEECH", lora(None, WHISPER), "the decoder's attention alone")
add("whisper-adalora", "whisper", "SPEECH", lambda: peft.AdaLoraConfig(init_r=6, target_r=4, tinit=1, tfinal=1, total_step=9,
    lora_alpha=8, target_modules=["k_proj", "q_proj", "v_proj", "out_proj", "fc1", "fc2"]))  # fmt: skip
add("clip-towers", "clip", "TOWERS", lora(None, [*QV, "k_proj", "out_proj"]), "both towers")
add("clip-vision", "clip", "TOWERS", lora(None, r"vision_model.*\.(q_proj|v_proj)"), "the tower of pictures alone")
add("siglip-towers", "siglip", "TOWERS", lora(None, QV))
add("wav2vec2-ctc", "wav2vec2", "CTC", lora(None, QV, modules_to_save=["lm_head"]))
add("wav2vec2-keywords", "wav2vec2", "AUDIO", lora(None, QV, modules_to_save=["projector", "classifier"]))
add("dinov2-image", "dinov2", "IMAGE", lora(None, ["q_proj", "v_proj"], modules_to_save=["classifier"]))
add("gemma3-language", "gemma3", "SEEING", lora("CAUSAL_LM", LANGUAGE), "Unsloth, the language model of one that sees")
add("gemma3-both", "gemma3", "SEEING", lora("CAUSAL_LM", BOTH))
add("gemma3-linear", "gemma3", "SEEING", lora("CAUSAL_LM", "all-linear"))
add("gemma3-text-only", "gemma3", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN), "AutoModelForCausalLM")
add("qwen2vl-language", "qwen2vl", "SEEING", lora("CAUSAL_LM", SEVEN))
add(
    "llama-reward",
    "llama",
    "SEQ_CLS",
    lora("SEQ_CLS", QV, modules_to_save=["score"]),
    "TRL's RewardTrainer",
    model={"num_labels": 1},
)
add(
    "bert-reranker",
    "bert",
    "SEQ_CLS",
    lora("SEQ_CLS", ["query", "key", "value"]),
    "a cross-encoder",
    model={"num_labels": 1},
)
add("xlmr-ner", "xlmr", "TOKEN_CLS", lora("TOKEN_CLS", ["query", "value"]), model={"num_labels": 9})
add("xlmr-embeddings", "xlmr", "FEATURE_EXTRACTION", lora("FEATURE_EXTRACTION", ["query", "key", "value"]))
add("modernbert-seq-cls", "modernbert", "SEQ_CLS", lora("SEQ_CLS", ["Wqkv", "Wo"]), model={"num_labels": 4})
add("modernbert-embeddings", "modernbert", "FEATURE_EXTRACTION", lora("FEATURE_EXTRACTION", "all-linear"))
add("falcon-causal", "falcon", "CAUSAL_LM", lora("CAUSAL_LM", ["query_key_value"]), "many queries, one key")
add("phi2-causal", "phi2", "CAUSAL_LM", lora("CAUSAL_LM", ["q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"]))
add("gemma-seq-cls", "gemma", "SEQ_CLS", lora("SEQ_CLS", QV), model={"num_labels": 3})
add("qwen-pickled", "qwen", "CAUSAL_LM", lora("CAUSAL_LM", SEVEN), save={"safe_serialization": False})
add("mistral-embedder", "mistral", "FEATURE_EXTRACTION", lora("FEATURE_EXTRACTION", SEVEN))


# --- files that only torch writes ------------------------------------------------------------------------------------
def litgpt(model: Any, folder: Path, tokenizer: Any) -> None:
    """litgpt/finetune/lora.py, save_lora_checkpoint: one file of torch, with the names of LitGPT's own model."""
    state = {}
    for layer in range(2):
        start = f"transformer.h.{layer}.attn"
        state |= {f"{start}.qkv.lora_A": torch.randn(8, 32), f"{start}.qkv.lora_B": torch.randn(48, 4)}
        state |= {f"{start}.proj.lora_A": torch.randn(4, 32), f"{start}.proj.lora_B": torch.randn(32, 4)}
    torch.save({"model": state}, folder / "lit_model.pth.lora")


def torchtune(model: Any, folder: Path, tokenizer: Any) -> None:
    """torchtune's checkpointer keeps its own form of the adapter beside PEFT's."""
    state = {f"layers.{layer}.attn.{name}.lora_{side}.weight": torch.randn(4, 32)
             for layer in range(2) for name in ("q_proj", "output_proj") for side in "ab"}  # fmt: skip
    torch.save(state, folder / "adapter_model.pt")


def lightning(model: Any, folder: Path, tokenizer: Any) -> None:
    """LightningModule.save_checkpoint: the whole module, with loops and callbacks, and no config beside it."""
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    whole = {"epoch": 0, "global_step": 9, "pytorch-lightning_version": "2.5.1", "state_dict": state, "loops": {},
             "callbacks": {}, "optimizer_states": [], "lr_schedulers": []}  # fmt: skip
    torch.save(whole, folder / "epoch=0-step=9.ckpt")


def h2o(model: Any, folder: Path, tokenizer: Any) -> None:
    """H2O LLM Studio keeps the head of a classifier apart."""
    torch.save({"classification_head.weight": torch.randn(1, 96)}, folder / "classification_head.pth")


def embedding(model: Any, folder: Path, tokenizer: Any) -> None:
    """textual_inversion.py of diffusers before safetensors."""
    torch.save({"<cat-toy>": torch.randn(768)}, folder / "learned_embeds.bin")


for name, files in {
    "litgpt": litgpt,
    "torchtune": torchtune,
    "lightning": lightning,
    "h2o": h2o,
    "embedding": embedding,
}.items():
    add(f"file-{name}", "llama", "CAUSAL_LM", lora("CAUSAL_LM", QV), files=files)

if __name__ == "__main__":
    main(ALL, make_peft.make)
