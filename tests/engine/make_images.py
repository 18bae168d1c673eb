"""Makes bases that read images or fill in words, and adapters for them by peft alone; run by an engine's interpreter.

.engines/e4/bin/python tests/engine/make_images.py DIR BERT      writes DIR/bases/NAME and DIR/e4/NAME; BERT has words

Bases are written by e4 alone: the newer transformers reads what the older one wrote.
"""

import shutil
import sys
import warnings
from pathlib import Path

import torch
import transformers as t
from peft import LoraConfig, get_peft_model

ENGINE = Path(sys.prefix).name
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
PICTURE = {**SMALL, "image_size": 16, "patch_size": 8, "initializer_range": 0.3}
QV = ["query", "value"] if ENGINE == "e4" else ["q_proj", "v_proj"]


def write_bases(folder: Path, bert: Path) -> None:
    torch.manual_seed(1)
    t.ViTModel(t.ViTConfig(**PICTURE)).save_pretrained(folder / "vit")
    t.ViTForImageClassification(t.ViTConfig(**PICTURE, num_labels=5)).save_pretrained(folder / "vit-headed")
    t.Dinov2Model(t.Dinov2Config(**PICTURE)).save_pretrained(folder / "dinov2")
    t.CLIPVisionModel(t.CLIPVisionConfig(**PICTURE)).save_pretrained(folder / "clip")
    ear = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "vocab_size": 64,
           "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_source_positions": 50,
           "max_target_positions": 32, "num_mel_bins": 16, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
           "decoder_start_token_id": 2, "init_std": 0.3}  # fmt: skip
    t.WhisperForConditionalGeneration(t.WhisperConfig(**ear)).save_pretrained(folder / "whisper")
    text = {**SMALL, "vocab_size": 64, "max_position_embeddings": 64, "eos_token_id": 3, "initializer_range": 0.3}
    both = t.CLIPConfig(text_config=text, vision_config=PICTURE, projection_dim=16)
    t.CLIPModel(both).save_pretrained(folder / "two-towers")
    words = t.BertForMaskedLM(t.BertConfig(**SMALL, vocab_size=64, max_position_embeddings=64, initializer_range=0.3))
    words.save_pretrained(folder / "mlm")
    t.PreTrainedTokenizerFast.from_pretrained(bert).save_pretrained(folder / "mlm")


def train(model) -> None:
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=0.02)
    for _ in range(4):
        pictures, ids = torch.randn(4, 3, 16, 16), torch.randint(5, 40, (4, 12))
        name, kind = model.get_base_model().main_input_name, model.get_base_model().config.model_type
        if name == "pixel_values":
            answer = model(pixel_values=pictures)
        elif name == "input_features":
            answer = (model(input_features=torch.randn(4, 16, 100), decoder_input_ids=ids).logits,)
        elif kind == "clip":
            answer = (model(input_ids=ids, pixel_values=pictures).logits_per_image,)
        else:
            answer = model(input_ids=torch.randint(5, 40, (4, 12)))
        answer[0].pow(2).mean().backward()
        optimiser.step()
        optimiser.zero_grad()


def make(folder: Path, name: str, base: str, auto, config: LoraConfig, **sizes) -> None:
    torch.manual_seed(len(name))
    model = auto.from_pretrained(folder / "bases" / base, **sizes)
    model.name_or_path = model.config._name_or_path = f"tiny/{base}"
    model = get_peft_model(model, config)
    train(model)
    shutil.rmtree(folder / ENGINE / name, ignore_errors=True)
    model.save_pretrained(folder / ENGINE / name)


def main(folder: Path, bert: Path) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if ENGINE == "e4":
        write_bases(folder / "bases", bert)
    images, words = t.AutoModelForImageClassification, t.AutoModelForMaskedLM
    head = {"modules_to_save": ["classifier"]}
    three, seven = {"num_labels": 3}, {"num_labels": 7, "ignore_mismatched_sizes": True}
    make(folder, "vit", "vit", images, LoraConfig(target_modules=QV, **head), **three)
    make(folder, "vit-no-head", "vit", images, LoraConfig(target_modules=QV))
    make(folder, "vit-embeddings", "vit", t.AutoModel, LoraConfig(target_modules=QV))
    make(folder, "vit-patches", "vit", images, LoraConfig(target_modules=["projection", *QV], use_dora=True, **head))
    make(folder, "vit-all-linear", "vit", images, LoraConfig(target_modules="all-linear", **head))
    make(folder, "headed", "vit-headed", images, LoraConfig(target_modules=QV))
    make(folder, "headed-anew", "vit-headed", images, LoraConfig(target_modules=QV, **head), **seven)
    make(folder, "dinov2", "dinov2", images, LoraConfig(target_modules=QV, **head))
    make(folder, "clip", "clip", t.AutoModel, LoraConfig(target_modules=["q_proj", "v_proj"]))
    make(folder, "whisper", "whisper", t.AutoModelForSpeechSeq2Seq, LoraConfig(target_modules=["q_proj", "v_proj"]))
    make(folder, "two-towers", "two-towers", t.AutoModel, LoraConfig(target_modules=["q_proj", "v_proj"]))
    make(folder, "mlm", "mlm", words, LoraConfig(target_modules=["query", "value"]))
    make(folder, "mlm-head", "mlm", words, LoraConfig(target_modules=["query", "value"], modules_to_save=["cls"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
