"""PEFT, diffusers, mlx-lm and gguf read what is converted and merged, and compute the same."""

import os
import subprocess
from pathlib import Path

import pytest

from features import FEATURES
from tests.clients import beside, build
from tests.hf.test_libraries import DIFFUSERS

MLX = ("mlx-lm==0.32.2", "mlx==0.32.4", "mlx-cpu==0.32.4")
pytestmark = [pytest.mark.merge, pytest.mark.engine]
needs_pipelines = pytest.mark.skipif("measured" not in FEATURES, reason="it has the pipelines that are made narrow")


def proofs(program: str, folder: Path, *packages: Path) -> tuple[list[str], str]:
    """Return what a program proved, and what it said besides."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, packages)), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [build("e5") / "python", Path(__file__).parent / "programs" / program, folder],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.splitlines(), done.stderr


def test_each_library_reads_its_format_and_computes_what_peft_does(tmp_path: Path):
    packages = [beside("e5", *DIFFUSERS), beside("e5", *MLX), beside("e5", "gguf==0.19.0")]
    found, words = proofs("real_libraries.py", tmp_path, *packages)
    assert found == ["mlx", "gguf", "diffusers kohya", "merges"], words


def test_what_loralib_saves_computes_the_same_in_peft(tmp_path: Path):
    found, words = proofs("loralib_models.py", tmp_path, beside("e5", "loralib==0.1.2"))
    assert found == [
        "roberta", "roberta with a head", "gpt2, q and v", "gpt2, k", "gpt2, all", "llama",
    ], words  # fmt: skip


METHODS = [
    "LoHa", "LoKr", "IA3", "OFT", "BOFT", "VeRA", "VeRA without its matrices", "AdaLoRA", "DoRA", "rsLoRA", "HRA",
    "MiSS", "FourierFT", "HiRA", "RandLoRA", "VBLoRA", "DoRA of GPT-2", "PiSSA", "OLoRA", "PiSSA of unlike ranks",
    "LoKr with a head",
]  # fmt: skip


def test_a_lora_of_the_whole_rank_computes_what_any_method_of_peft_does(tmp_path: Path):
    found, words = proofs("methods_to_lora.py", tmp_path)
    assert found == METHODS, words


@needs_pipelines
def test_every_module_of_image_models_is_what_diffusers_makes_of_it(tmp_path: Path):
    found, words = proofs("image_libraries.py", tmp_path, beside("e5", *DIFFUSERS))
    assert found == ["stable diffusion", "flux", "own converters"], words


@needs_pipelines
def test_diffusers_loads_what_lycoris_made_and_computes_what_lycoris_does(tmp_path: Path):
    packages = [beside("e5", *DIFFUSERS), beside("e5", "lycoris-lora==4.1.3", "einops==0.8.1", "toml==0.10.2")]
    found, words = proofs("lycoris_products.py", tmp_path, *packages)
    assert found == ["StableDiffusionPipeline", "StableDiffusionXLPipeline"], words
