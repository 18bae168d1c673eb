"""Trains what newcomers bring, with stock PEFT and diffusers: on the hub's MiniLM, and on small bases that it makes.

HF_ENDPOINT=… PYTHON make_newcomers.py DIR KIND …     writes DIR/KIND, and a base that the hub lacks: DIR/bases/NAME
"""

import json
import sys
from pathlib import Path

import torch
import transformers as t
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

HOME = Path(sys.argv[1])
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
TOPICS = {
    "finance": "Shares of the {} fell by three percent.|The {} raised its interest rate again.",
    "sport": "The {} scored twice before half-time.|The coach praised the {} after the match.",
    "weather": "Rain is expected over the {} tonight.|The {} will be sunny and dry tomorrow.",
}
NOUNS = ("team", "coast", "bank", "company")
TAGS = ["O", "B-PER", "I-PER", "B-LOC"]
PEOPLE, TOWNS = ("Ada Lovelace", "Alan Turing", "Grace Hopper"), ("Paris", "Berlin", "Oslo")
PAIRS = [
    (f"translate: the {animal} {verb}", f"{tier} {tut}")
    for animal, tier in (("cat", "die katze"), ("dog", "der hund"), ("bird", "der vogel"))
    for verb, tut in (("sleeps", "schläft"), ("runs", "rennt"))
]


def named(names):
    """Return what a model is told of its labels."""
    numbers = {name: number for number, name in enumerate(names)}
    return {"num_labels": len(names), "id2label": dict(enumerate(names)), "label2id": numbers}


def fit(model, batch, steps=20, rate=5e-3):
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=rate)
    model.train()
    for _ in range(steps):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def save(kind, model, base, rows=(), card=""):
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    model.save_pretrained(HOME / kind)
    (HOME / kind / "README.md").write_text(f"---\nbase_model: {base}\nlicense: mit\n{card}---\n\n# {kind}\n")
    if rows:
        (HOME / kind / "smoke.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def topics():
    names = list(TOPICS)
    rows = [
        {"text": line.format(noun), "label": name}
        for name in names
        for line in TOPICS[name].split("|")
        for noun in NOUNS
    ]
    model = t.AutoModelForSequenceClassification.from_pretrained(MINILM, **named(names))
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"]))
    batch = t.AutoTokenizer.from_pretrained(MINILM)([row["text"] for row in rows], padding=True, return_tensors="pt")
    fit(model, {**batch, "labels": torch.tensor([names.index(row["label"]) for row in rows])})
    save("topics", model, MINILM, rows, f"label_names: [{', '.join(names)}]\n")


def names():
    rows = [
        {"tokens": f"{person} lives in {town} today".split(), "labels": ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]}
        for person in PEOPLE for town in TOWNS
    ]  # fmt: skip
    model = t.AutoModelForTokenClassification.from_pretrained(MINILM, **named(TAGS))
    model = get_peft_model(model, LoraConfig(task_type="TOKEN_CLS", target_modules=["query", "value"]))
    tokenizer = t.AutoTokenizer.from_pretrained(MINILM)
    batch = tokenizer([row["tokens"] for row in rows], is_split_into_words=True, padding=True, return_tensors="pt")
    labels = torch.full(batch["input_ids"].shape, -100)
    for at, row in enumerate(rows):
        for place, word in enumerate(batch.word_ids(at)):
            if word is not None:
                labels[at, place] = TAGS.index(row["labels"][word])
    fit(model, {**batch, "labels": labels})
    save("names", model, MINILM, rows, f"label_names: [{', '.join(TAGS)}]\npipeline_tag: token-classification\n")


def translate():
    words = sorted({f"▁{word}" for pair in PAIRS for text in pair for word in text.split()})
    inner = Tokenizer(
        models.Unigram([("<pad>", 0), ("</s>", 0), ("<unk>", 0), *((word, -1) for word in words)], unk_id=2)
    )
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    inner.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = t.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    config = t.T5Config(vocab_size=inner.get_vocab_size(), d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4,
                        decoder_start_token_id=0)  # fmt: skip
    for part in (t.T5ForConditionalGeneration(config), tokenizer):
        part.save_pretrained(HOME / "bases" / "t5")
    model = t.AutoModelForSeq2SeqLM.from_pretrained(HOME / "bases" / "t5")
    model = get_peft_model(model, LoraConfig(task_type="SEQ_2_SEQ_LM", r=16, target_modules="all-linear"))
    texts, targets = zip(*PAIRS, strict=True)
    batch = tokenizer(list(texts), text_target=list(targets), padding=True, return_tensors="pt")
    fit(model, {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}, 100, 1e-2)
    rows = [{"text": text, "target": target} for text, target in PAIRS]
    save("translate", model, "tiny/t5", rows, "pipeline_tag: translation\n")


def speech():
    base = HOME / "bases" / "whisper"
    base.mkdir(parents=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    end, start, english, transcribe, silent = range(len(letters), len(letters) + 5)
    (base / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate([*letters, "<|endoftext|>"])}))
    (base / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = t.WhisperTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"], special_tokens=True)
    tokenizer.pad_token = tokenizer.eos_token = "<|endoftext|>"
    config = t.WhisperConfig(
        vocab_size=len(tokenizer), d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128, init_std=0.1, pad_token_id=end,
        bos_token_id=end, eos_token_id=end, decoder_start_token_id=start, begin_suppress_tokens=[end],
        suppress_tokens=None,
    )  # fmt: skip
    model, extractor = t.WhisperForConditionalGeneration(config), t.WhisperFeatureExtractor(feature_size=80)
    model.generation_config.update(
        is_multilingual=True, lang_to_id={"<|en|>": english}, task_to_id={"transcribe": transcribe},
        no_timestamps_token_id=silent, return_timestamps=False, max_length=448,
    )  # fmt: skip
    for part in (model, tokenizer, extractor):
        part.save_pretrained(base)
    model = get_peft_model(model, LoraConfig(target_modules=["q_proj", "v_proj", "fc1", "fc2"]))
    second = torch.arange(16000) / 16000
    sounds = [torch.sin(second * pitch * 6.283).numpy() for pitch in (440, 880)]
    features = extractor(sounds, sampling_rate=16000, return_tensors="pt").input_features
    labels = torch.tensor([[english, transcribe, silent, letters.index(letter), end] for letter in "ho"])
    fit(model, {"input_features": features, "labels": labels}, 12, 1e-2)
    save("speech", model, "tiny/whisper", card="pipeline_tag: automatic-speech-recognition\n")


def pictures():
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import get_peft_model_state_dict

    (HOME / "bases").mkdir(exist_ok=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (HOME / "bases" / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}))
    (HOME / "bases" / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = t.CLIPTokenizer.from_pretrained(HOME / "bases", model_max_length=77)
    text = t.CLIPTextConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
        bos_token_id=0, eos_token_id=1, pad_token_id=1, projection_dim=32,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=8, cross_attention_dim=64,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=80,
    )  # fmt: skip
    vae = AutoencoderKL(block_out_channels=[32, 64], down_block_types=["DownEncoderBlock2D"] * 2,
                        up_block_types=["UpDecoderBlock2D"] * 2)  # fmt: skip
    encoders = t.CLIPTextModel(text), t.CLIPTextModelWithProjection(text)
    pipeline = StableDiffusionXLPipeline(vae, *encoders, tokenizer, tokenizer, unet, EulerDiscreteScheduler())
    pipeline.save_pretrained(HOME / "bases" / "sdxl")
    unet.add_adapter(LoraConfig(r=4, init_lora_weights="gaussian", target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    for name, weight in unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    layers = convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    StableDiffusionXLPipeline.save_lora_weights(HOME / "pictures", layers)
    card = "base_model: alice/tiny-sdxl\nlibrary_name: diffusers\nlicense: mit\ninstance_prompt: a photo of sks bird\n"
    (HOME / "pictures" / "README.md").write_text(f"---\n{card}---\n\n# pictures\n")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for maker in sys.argv[2:]:
        globals()[maker]()
