"""Writes a tiny Llama with a tokenizer into a folder, in seconds and without a download."""

import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END = "<|endoftext|>"
folder = sys.argv[1]
torch.manual_seed(0)
alphabet = pre_tokenizers.ByteLevel.alphabet()
pieces = Tokenizer(models.BPE())
pieces.pre_tokenizer, pieces.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
pieces.train_from_iterator(
    ["a question and its answer"], trainers.BpeTrainer(vocab_size=400, special_tokens=[END], initial_alphabet=alphabet)
)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces, bos_token=END, eos_token=END, pad_token=END)
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, bos_token_id=0, eos_token_id=0, pad_token_id=0,
)  # fmt: skip
LlamaForCausalLM(config).save_pretrained(folder)
tokenizer.save_pretrained(folder)
