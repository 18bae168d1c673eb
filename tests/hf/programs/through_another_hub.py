"""transformers as it is: a model is pushed to one hub and comes back by its name from another, which reads there."""

import sys

import torch
from huggingface_hub import HfApi
from transformers import AutoModel, BertConfig

far, token, name, folder = sys.argv[1:]
small = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
made = AutoModel.from_config(BertConfig(**small))
made.save_pretrained(folder)
api = HfApi(far, token)
api.create_repo(name)
api.upload_folder(repo_id=name, folder_path=folder)
loaded = AutoModel.from_pretrained(name).state_dict()
assert all(torch.equal(tensor, loaded[key]) for key, tensor in made.state_dict().items())
print("fine")
