"""Builds the tiny bases of the engine's tests; run by an engine's interpreter, since it needs torch.

.engines/e5/bin/python tests/engine/make_bases.py DIR      writes DIR/bert, DIR/llama, DIR/gpt2 and DIR/t5
"""

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PLAIN = """the a it is was i found this what really all in good bad fine poor great awful film book meal room green blue
one two three red dog cat sun sea and or not very quite . , ! ?"""
WORDS = SPECIAL + PLAIN.split()


def tokenizer() -> PreTrainedTokenizerFast:
    words = {word: number for number, word in enumerate(WORDS)}
    inner = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


def main(folder: Path) -> None:
    torch.manual_seed(1)
    small = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    bert = BertModel(BertConfig(**small, max_position_embeddings=64, initializer_range=0.3))
    llama = LlamaForCausalLM(LlamaConfig(**small, max_position_embeddings=64, initializer_range=0.3, pad_token_id=0))
    t5 = T5ForConditionalGeneration(
        T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0)
    )
    gpt2 = GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3, eos_token_id=3)
    )
    for name, model in {"bert": bert, "llama": llama, "t5": t5, "gpt2": gpt2}.items():
        model.save_pretrained(folder / name)
        tokenizer().save_pretrained(folder / name)


main(Path(sys.argv[1]))
