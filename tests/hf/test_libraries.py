"""The libraries that train and load adapters, as they are: transformers, peft, adapters, diffusers; vLLM's calls."""

import json
import random
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from tests.adapters import MINILM, TINY_LLAMA, WEIGHTS, lora, write
from tests.clients import Client, beside
from tests.live import TOKENS, Hub

PROGRAMS = Path(__file__).parent / "programs"
DIFFUSERS = (
    "diffusers==0.42.1", "importlib_metadata==10.2.0", "pillow==13.0.0", "zipp==4.1.2",
    "requests==2.32.5", "certifi==2025.8.3", "urllib3==2.5.0", "charset-normalizer==3.4.3",
)  # fmt: skip
pytestmark = [pytest.mark.merge, pytest.mark.engine]


def mark() -> str:
    return f"{random.randrange(1 << 40):x}"


def client(hub: Hub, folder: Path, engine: str, **settings: str) -> Client:
    quiet = {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    return Client(engine, hub.url, TOKENS["alice"], folder / "home", quiet | settings)


@pytest.mark.parametrize("engine", ["e4", "e5"])
def test_transformers_and_peft_push_a_base_and_adapters_and_load_each_by_id_and_revision(live_hub, tmp_path, engine):
    names = f"alice/base-{mark()}", f"alice/adapter-{mark()}"
    done = client(live_hub, tmp_path, engine).program(PROGRAMS / "peft_and_transformers.py", *names)
    assert done.endswith("fine\n")


@pytest.mark.parametrize("chosen", [{}, {"HF_HUB_DISABLE_XET": "1"}], ids=["xet", "lfs"])
def test_the_adapters_library_pushes_lists_describes_and_loads(live_hub, tmp_path, chosen):
    done = client(live_hub, tmp_path, "e4", **chosen).program(PROGRAMS / "adapters_library.py", f"saved-{mark()}")
    assert done.endswith("fine\n")


def test_diffusers_and_vllm_find_what_they_load(live_hub: Hub, tmp_path: Path):
    images, texts, api = f"alice/images-{mark()}", f"alice/texts-{mark()}", HfApi(live_hub.url, TOKENS["alice"])
    fine, other = lora(MINILM), lora(TINY_LLAMA, task="CAUSAL_LM")
    for repo, files in (
        (images, {"pytorch_lora_weights.safetensors": fine[WEIGHTS], "optimizer.safetensors": other[WEIGHTS]}),
        (texts, fine | {f"two/{name}": data for name, data in other.items()} | {"three/x y.txt": b"x"}),
    ):
        api.create_repo(repo, private=True)
        api.upload_folder(repo_id=repo, folder_path=write(files, tmp_path / repo))
    path = str(beside("e5", *DIFFUSERS))
    found = json.loads(
        client(live_hub, tmp_path, "e5", PYTHONPATH=path).program(PROGRAMS / "serving_engines.py", images, texts)
    )
    assert found["guess"] == "pytorch_lora_weights.safetensors"
    assert found["tensors"]
    assert found["vllm"] == {".": len(fine[WEIGHTS])}
