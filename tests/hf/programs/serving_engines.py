"""Runs the requests by which diffusers and vLLM find an adapter; prints the result of each.

diffusers is there itself, as its pipelines' `load_lora_weights` reads: the best guess at a file, then its tensors.
vLLM is not; these are the calls of its `lora_hf_hub_resolver` plugin, in its order, with its patterns.
"""

import json
import sys
from pathlib import Path

from diffusers.loaders.lora_base import LoraBaseMixin, _best_guess_weight_name, _fetch_state_dict
from huggingface_hub import HfApi, snapshot_download

assert LoraBaseMixin
images, texts = sys.argv[1:]


def by_diffusers(repo: str, revision: str | None = None) -> list[str]:
    asked = {"use_safetensors": True, "local_files_only": False, "cache_dir": None, "force_download": False}
    asked |= {"proxies": None, "token": None, "revision": revision, "subfolder": None, "allow_pickle": False}
    asked |= {"user_agent": {"file_type": "attn_procs_weights", "framework": "pytorch"}}
    tensors, _ = _fetch_state_dict(repo, weight_name=None, **asked)
    return sorted(tensors)


def by_vllm(repo: str, base: str) -> dict[str, int]:
    paths = [Path(path) for path in HfApi().list_repo_files(repo)]
    found = {}
    for folder in sorted({str(path.parent) for path in paths if path.name == "adapter_config.json"}):
        local = Path(snapshot_download(repo, allow_patterns="*" if folder == "." else f"{folder}/*"), folder)
        said = json.loads((local / "adapter_config.json").read_text())
        if said["peft_type"] == "LORA" and said["base_model_name_or_path"] == base:
            found[folder] = (local / "adapter_model.safetensors").stat().st_size
    return found


print(json.dumps({
    "guess": _best_guess_weight_name(images, file_extension=".safetensors"),
    "tensors": by_diffusers(images),
    "vllm": by_vllm(texts, "sentence-transformers/all-MiniLM-L6-v2"),
}))  # fmt: skip
