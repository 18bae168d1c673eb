"""The libraries that train and load adapters, as they are: transformers, peft, adapters, diffusers; vLLM's calls."""

import json
import random
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from tests.adapters import MINILM, TINY_LLAMA, WEIGHTS, lora, with_nan, write
from tests.clients import Client, beside
from tests.live import TOKENS, Hub
from tests.pickles.test_live import judged

PROGRAMS = Path(__file__).parent / "programs"
DIFFUSERS = (
    "diffusers==0.42.0", "importlib_metadata==10.2.0", "pillow==13.0.0", "zipp==4.1.2",
    "requests==2.32.5", "certifi==2025.8.3", "urllib3==2.5.0", "charset-normalizer==3.4.3",
)  # fmt: skip
pytestmark = pytest.mark.engine


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


@pytest.mark.parametrize("settings", [{}, {"HF_HUB_DISABLE_XET": "1"}], ids=["xet", "lfs"])
def test_the_adapters_library_pushes_lists_describes_and_loads(live_hub, tmp_path, settings):
    done = client(live_hub, tmp_path, "e4", **settings).program(PROGRAMS / "adapters_library.py", f"saved-{mark()}")
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


VERIFIED = """
import sys, torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification
base, repo, good = sys.argv[1:]
def loaded(revision):
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(base))
    model = PeftModel.from_pretrained(model, repo, revision=revision)
    return {name: value for name, value in model.state_dict().items() if "lora" in name}
proven, named, newest = loaded("verified"), loaded(good), loaded("main")
assert proven.keys() == named.keys() == newest.keys()
assert all(torch.equal(proven[name], named[name]) for name in named)
print(any(newest[name].isnan().any() for name in newest))
"""


def test_peft_loads_the_revision_that_was_verified_and_not_the_one_that_failed(working_hub: Hub, tmp_path: Path):
    repo, api = f"alice/proven-{mark()}", HfApi(working_hub.url, TOKENS["alice"])
    files = lora(MINILM, rank=2)
    api.create_repo(repo)
    good = api.upload_folder(repo_id=repo, folder_path=write(files, tmp_path / "good")).oid
    assert judged(api, repo, good) == "passed"
    bad = api.upload_folder(repo_id=repo, folder_path=write(with_nan()(files), tmp_path / "bad")).oid
    assert judged(api, repo, bad) == "failed"
    (config,) = working_hub.data.glob("shelf/*MiniLM*/*/config.json")
    for engine in ("e4", "e5"):
        said = client(working_hub, tmp_path / engine, engine).python(VERIFIED, config.parent, repo, good)
        assert said.splitlines()[-1] == "True"
