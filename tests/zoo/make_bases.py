"""Builds the zoo's small bases, one of each family that strangers train on; run by the interpreter of engine e4.

.engines/e4/bin/python tests/zoo/make_bases.py DIR [NAME …]     writes DIR/bert, DIR/llama … with tokenizers

The older transformers writes what both read. Weights are random, and large enough that an adapter can be felt.
"""

import json
import sys
from pathlib import Path

import torch
import transformers as t
from tokenizers import Tokenizer, models, pre_tokenizers, processors

PLAIN = (
    "the a it is was i this what really all in good bad fine poor great awful film book meal room cat dog very . , !"
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = SPECIAL + PLAIN.split() + [f"w{number}" for number in range(96 - len(SPECIAL) - len(PLAIN.split()))]
SMALL = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
FELT = {"initializer_range": 0.3}
LLAMA = {**SMALL, **FELT, "num_key_value_heads": 2, "max_position_embeddings": 128, "pad_token_id": 0}
BERT = {**SMALL, **FELT, "max_position_embeddings": 128}
TOWER = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
         "projection_dim": 16, "max_position_embeddings": 32}  # fmt: skip
PICTURES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
            "image_size": 16, "patch_size": 8, "projection_dim": 16}  # fmt: skip

BASES = {
    "bert": lambda: t.BertModel(t.BertConfig(**BERT)),
    "bert_mlm": lambda: t.BertForMaskedLM(t.BertConfig(**BERT)),
    "roberta": lambda: t.RobertaModel(t.RobertaConfig(**BERT, pad_token_id=0)),
    "distilbert": lambda: t.DistilBertModel(
        t.DistilBertConfig(vocab_size=96, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=128, **FELT)
    ),
    "deberta": lambda: t.DebertaV2Model(
        t.DebertaV2Config(**BERT, pos_att_type=["p2c", "c2p"], relative_attention=True, position_buckets=16)
    ),
    "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**LLAMA)),
    "llama_twin": lambda: t.LlamaForCausalLM(t.LlamaConfig(**LLAMA)),  # equal shapes, other weights
    "qwen": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**LLAMA, tie_word_embeddings=True)),
    "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**LLAMA, head_dim=16)),
    "mistral": lambda: t.MistralForCausalLM(t.MistralConfig(**LLAMA)),
    "gemma": lambda: t.Gemma2ForCausalLM(t.Gemma2Config(**LLAMA, head_dim=8)),
    "phi": lambda: t.Phi3ForCausalLM(t.Phi3Config(**LLAMA, eos_token_id=3, bos_token_id=2)),
    "mixtral": lambda: t.MixtralForCausalLM(t.MixtralConfig(**LLAMA, num_local_experts=2, num_experts_per_tok=1)),
    "gpt2": lambda: t.GPT2LMHeadModel(
        t.GPT2Config(vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=2, eos_token_id=3, **FELT)
    ),
    "neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**SMALL, **FELT, max_position_embeddings=128)),
    "bloom": lambda: t.BloomForCausalLM(t.BloomConfig(vocab_size=96, hidden_size=32, n_layer=2, n_head=4, **FELT)),
    "opt": lambda: t.OPTForCausalLM(
        t.OPTConfig(vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64,
                    max_position_embeddings=128, word_embed_proj_dim=32, init_std=0.3, pad_token_id=0)
    ),
    "t5": lambda: t.T5ForConditionalGeneration(
        t.T5Config(vocab_size=96, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0)
    ),
    "bart": lambda: t.BartForConditionalGeneration(
        t.BartConfig(vocab_size=96, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                     decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=128,
                     init_std=0.3, pad_token_id=0, bos_token_id=2, eos_token_id=3, decoder_start_token_id=3,
                     forced_eos_token_id=None)
    ),
    "vit": lambda: t.ViTModel(
        t.ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=16,
                    patch_size=8, **FELT)
    ),
    "dinov2": lambda: t.Dinov2Model(
        t.Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2, image_size=16,
                       patch_size=8, **FELT)
    ),
    "whisper": lambda: t.WhisperForConditionalGeneration(
        t.WhisperConfig(vocab_size=96, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, num_mel_bins=8,
                        max_source_positions=32, max_target_positions=32, init_std=0.3, pad_token_id=0, bos_token_id=2,
                        eos_token_id=3, decoder_start_token_id=2, begin_suppress_tokens=None)
    ),
    "wav2vec2": lambda: t.Wav2Vec2ForCTC(
        t.Wav2Vec2Config(**SMALL, **FELT, conv_dim=(32, 32), conv_stride=(5, 2), conv_kernel=(10, 3), pad_token_id=0,
                         num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4, num_feat_extract_layers=2)
    ),
    "clip": lambda: t.CLIPModel(
        t.CLIPConfig(text_config={**TOWER, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0},
                     vision_config=PICTURES, projection_dim=16)
    ),
    "siglip": lambda: t.SiglipModel(
        t.SiglipConfig(text_config={**TOWER, "projection_size": 32, "pad_token_id": 0, "bos_token_id": 2,
                                    "eos_token_id": 3}, vision_config=PICTURES)
    ),
    "gemma3": lambda: t.Gemma3ForConditionalGeneration(
        t.Gemma3Config(text_config={**LLAMA, "head_dim": 8}, vision_config={**PICTURES, "image_size": 32},
                       mm_tokens_per_image=4, boi_token_index=90, eoi_token_index=91, image_token_index=92)
    ),
    "qwen2vl": lambda: t.Qwen2VLForConditionalGeneration(
        t.Qwen2VLConfig(
            text_config={**LLAMA, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}},
            vision_config={"embed_dim": 32, "depth": 2, "num_heads": 4, "hidden_size": 32, "mlp_ratio": 2,
                           "patch_size": 8},
            image_token_id=92, video_token_id=93, vision_start_token_id=90, vision_end_token_id=91)
    ),
    "xlmr": lambda: t.XLMRobertaModel(t.XLMRobertaConfig(**BERT, pad_token_id=0)),
    "modernbert": lambda: t.ModernBertForMaskedLM(
        t.ModernBertConfig(**BERT, pad_token_id=0, bos_token_id=2, cls_token_id=2, eos_token_id=3, sep_token_id=3,
                           initializer_cutoff_factor=2.0, local_attention=16, global_attn_every_n_layers=2)
    ),
    "falcon": lambda: t.FalconForCausalLM(
        t.FalconConfig(vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, bos_token_id=2,
                       eos_token_id=3, **FELT)
    ),
    "phi2": lambda: t.PhiForCausalLM(t.PhiConfig(**SMALL, **FELT, max_position_embeddings=128, bos_token_id=2,
                                                 eos_token_id=3)),
}  # fmt: skip
WITHOUT_WORDS = ("vit", "dinov2", "wav2vec2")


def tokenizer() -> t.PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True)
    return t.PreTrainedTokenizerFast(tokenizer_object=inner, **dict(names))


def main(folder: Path, wanted: list[str]) -> None:
    torch.set_num_threads(1)
    for seed, (name, build) in enumerate(BASES.items()):
        if wanted and name not in wanted:
            continue
        torch.manual_seed(seed)
        build().save_pretrained(folder / name)
        if name in WITHOUT_WORDS:
            said = {"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}}
            (folder / name / "preprocessor_config.json").write_text(json.dumps(said))
        else:
            tokenizer().save_pretrained(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
