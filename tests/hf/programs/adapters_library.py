"""adapters as it is: an adapter is pushed, listed, described, and comes back by id and by revision."""

import sys

import torch
from adapters import AutoAdapterModel, SeqBnConfig, get_adapter_info, list_adapters
from huggingface_hub import HfApi
from transformers import BertConfig

api, name = HfApi(), sys.argv[1]
repository_id, WORDS = f"alice/{name}", torch.arange(1, 9)[None]


def says(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(WORDS).logits


def base() -> torch.nn.Module:
    torch.manual_seed(0)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return AutoAdapterModel.from_config(BertConfig(vocab_size=64, max_position_embeddings=32, **small))


def loaded(**where: str) -> torch.Tensor:
    model = base()
    model.load_adapter(repository_id, set_active=True, **where)
    return says(model)


def pushed(message: str, seed: int) -> tuple[str, torch.Tensor]:
    model = base()
    torch.manual_seed(seed)
    model.add_adapter(name, config=SeqBnConfig(reduction_factor=4, init_weights="mam_adapter"))
    for each, weight in model.named_parameters():
        if f"adapters.{name}." in each:
            torch.nn.init.normal_(weight)
    model.add_classification_head(name, num_labels=2)
    model.set_active_adapters(name)
    model.push_adapter_to_hub(name, name, datasets_tag="rotten_tomatoes", commit_message=message)
    return api.model_info(repository_id).sha, says(model)


first, of_first = pushed("First", 1)
second, of_second = pushed("Second", 2)
assert first != second
torch.testing.assert_close(loaded(), of_second)
torch.testing.assert_close(loaded(version=first), of_first)
assert repository_id in {one.adapter_id for one in list_adapters()}, [one.adapter_id for one in list_adapters()]
described = get_adapter_info(repository_id)
assert (described.source, described.adapter_id) == ("hf", repository_id)
assert "adapter-transformers" in api.model_info(repository_id).tags
print("fine")
