"""transformers and peft as they are: a model and an adapter are pushed to one hub and come back by name from another.

They are loaded a second time, into a new cache, when a line comes: meanwhile the first hub goes away.
"""

import sys

import torch
from huggingface_hub import HfApi
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModel, BertConfig

far, token, name, folder = sys.argv[1:]
small = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
made = AutoModel.from_config(BertConfig(**small))
made.save_pretrained(f"{folder}/model")
expected = {key: tensor.clone() for key, tensor in made.state_dict().items()}
adapter = get_peft_model(made, LoraConfig(target_modules=["query"], init_lora_weights=False))
adapter.save_pretrained(f"{folder}/adapter")
trained = {key: tensor.clone() for key, tensor in adapter.state_dict().items() if "lora_" in key}
api = HfApi(far, token)
for repository, source in ((name, "model"), (f"{name}-lora", "adapter")):
    api.create_repo(repository)
    api.upload_folder(repo_id=repository, folder_path=f"{folder}/{source}")


def load(cache: str) -> None:
    """Load both by their names, with nothing in the cache."""
    model = AutoModel.from_pretrained(name, cache_dir=cache)
    assert all(torch.equal(tensor, model.state_dict()[key]) for key, tensor in expected.items())
    loaded = PeftModel.from_pretrained(model, f"{name}-lora", cache_dir=cache).state_dict()
    assert trained
    assert all(torch.equal(tensor, loaded[key]) for key, tensor in trained.items())


load(f"{folder}/before")
print("loaded", flush=True)
sys.stdin.readline()
load(f"{folder}/after")
print("fine")
