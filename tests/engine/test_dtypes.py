"""A base in bfloat16: the same adapters pass and fail as in float32, and the verdict says what it was proven with."""

import pytest

from tests.adapters import SABOTEURS, facts_of, lora, write
from tests.engine.conftest import Engine, in_an_engine
from tests.engine.test_honest import FOR_DECODERS, HONEST
from tests.engine.test_saboteurs import failures

pytestmark = pytest.mark.night


@pytest.fixture(scope="module")
def halved(bases, tmp_path_factory):
    running = {}

    def engine(name):
        if name not in running:
            said = ("--dtype", "bfloat16", "--base", bases / name, "--base-id", f"tiny/{name}")
            running[name] = Engine(tmp_path_factory.mktemp("halved"), *said)
        return running[name]

    yield engine
    for one in running.values():
        one.stop()


def test_the_engine_says_in_what_it_keeps_its_base(halved):
    said = halved("bert").ready["engine"]
    assert (said["dtype"], said["device"], said["threads"], said["batch"]) == ("bfloat16", "cpu", 1, 8)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_adapter_passes_on_an_encoder_in_bfloat16(name, halved, tmp_path):
    verdict = halved("bert").validate(write(HONEST[name], tmp_path), facts_of(HONEST[name]))
    assert failures(verdict) == [], verdict["checks"]


@pytest.mark.parametrize("name", FOR_DECODERS)
def test_an_honest_adapter_passes_on_a_decoder_in_bfloat16(name, halved, tmp_path):
    verdict = halved("llama").validate(write(FOR_DECODERS[name], tmp_path), facts_of(FOR_DECODERS[name]))
    assert failures(verdict) == [], verdict["checks"]


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_saboteur_fails_with_its_own_check_in_bfloat16(name, halved, tmp_path):
    expected, spoil = SABOTEURS[name]
    verdict = halved("bert").validate(write(spoil(lora()), tmp_path), facts_of(lora()))
    assert failures(verdict) == [expected], verdict["checks"]


def test_what_is_chosen_follows_the_size_of_the_base_and_what_is_not_here_is_a_sentence(bases, tmp_path):
    """A sparse file of zeros is as large as it says."""
    told = in_an_engine(f"""
import json, pathlib, torch
from workers.engine.models import device
folder = pathlib.Path({str(tmp_path)!r})
for rows in (449, 450):
    size = rows * 1_000_000 * 2
    entry = {{"w": {{"dtype": "BF16", "shape": [rows, 1_000_000], "data_offsets": [0, size]}}}}
    head = json.dumps(entry).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(8 + len(head) + size)
    print(device.dtype("auto", folder))
print(device.dtype("float32", folder), device.device("auto" if not torch.cuda.is_available() else "cpu"))
""")
    assert told == ["torch.float32", "torch.bfloat16", "torch.float32", "cpu"]


def test_a_digest_sees_every_change_of_a_value_and_values_that_change_places(engine_python):
    told = in_an_engine("""
import torch
from workers.engine.models.restoration import digest
for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.bool):
    values = (torch.arange(1, 5001) % 7 + 1).to(dtype) if dtype is not torch.bool else torch.arange(5000) % 3 == 0
    kept = digest(values)
    assert digest(values.clone()) == kept
    for at in (0, 2499, 4999):
        changed = values.clone()
        changed[at] = 0 if dtype is not torch.bool else not changed[at]
        assert digest(changed) != kept, (dtype, at)
    assert digest(values.roll(1)) != kept
wave = torch.arange(5000)
for _ in range(20):  # what a weight that grows evenly with its place would not see
    bent = wave.clone()
    bent[100:103] += torch.tensor([7, -14, 7])
    assert digest(bent) != digest(wave)
print("seen")
""")
    assert told == ["seen"]


def test_bits_are_compared_and_not_values(engine_python):
    told = in_an_engine("""
import torch
from workers.engine.models.restoration import same
nan = float("nan")
for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool):
    values = torch.randn(5, 7).to(dtype)
    assert same(values, values.clone()) and same(values.t(), values.clone().t()), dtype
print(same(torch.tensor([0.0]), torch.tensor([-0.0])), same(torch.tensor([nan]), torch.tensor([nan])))
""")
    assert told == ["False", "True"]
