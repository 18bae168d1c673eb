"""transformers and peft as they are: a base and its adapters are pushed, and come back by id and by revision."""

import sys

import torch
import transformers
from huggingface_hub import HfApi
from peft import AutoPeftModelForSequenceClassification, LoraConfig, PeftConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, BertConfig

api, base_id, repository_id = HfApi(), sys.argv[1], sys.argv[2]
WORDS = torch.arange(1, 9)[None]
LORA = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"], init_lora_weights=False)


def says(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(WORDS).logits


def base() -> torch.nn.Module:
    return AutoModelForSequenceClassification.from_pretrained(base_id)


def same(model: torch.nn.Module, expected: torch.Tensor) -> None:
    assert torch.allclose(says(model), expected, atol=1e-6), (says(model), expected)


# --- transformers: a whole model, also on a branch
small = BertConfig(
    vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
    max_position_embeddings=32,
)  # fmt: skip
whole = AutoModelForSequenceClassification.from_config(small)
whole.push_to_hub(base_id)
same(base(), says(whole))
whole.push_to_hub(base_id, revision="again", commit_message="The same on a branch")
assert AutoConfig.from_pretrained(base_id, revision="again").hidden_size == 32

# --- peft: two versions of one adapter
first = get_peft_model(base(), LORA)
first.push_to_hub(repository_id)
old = api.model_info(repository_id).sha
second = get_peft_model(base(), LORA)
second.push_to_hub(repository_id, commit_message="Better")
new = api.model_info(repository_id).sha
assert old != new
assert PeftConfig.from_pretrained(repository_id).base_model_name_or_path == base_id
same(PeftModel.from_pretrained(base(), repository_id), says(second))
same(PeftModel.from_pretrained(base(), repository_id, revision=old), says(first))
same(AutoPeftModelForSequenceClassification.from_pretrained(repository_id), says(second))
assert f"base_model:adapter:{base_id}" in api.model_info(repository_id).tags

# --- transformers: the id of an adapter in place of a model's
same(AutoModelForSequenceClassification.from_pretrained(repository_id), says(second))
older = {"adapter_kwargs": {"revision": old}}  # a bare `revision` would be asked of the base too
same(AutoModelForSequenceClassification.from_pretrained(repository_id, **older), says(first))
assert any("lora" in name for name in AutoModel.from_pretrained(repository_id).state_dict())
loaded = base()
loaded.load_adapter(repository_id, **older)
same(loaded, says(first))

# --- transformers: a model that carries an adapter pushes the adapter alone; 5.24 wants a PEFT that is not out yet
if transformers.__version__.startswith("4."):
    carrier = base()
    carrier.add_adapter(LORA)
    carrier.push_to_hub(f"{repository_id}-carried")
    files = api.list_repo_files(f"{repository_id}-carried")
    assert "adapter_model.safetensors" in files, files
    assert "model.safetensors" not in files, files
    again = base()
    again.load_adapter(f"{repository_id}-carried")
    same(again, says(carrier))
print("fine")
