"""On a CUDA device adapters are judged as on the CPU; collected where there is such a device and nowhere else."""

import pytest

from tests.adapters import SABOTEURS, facts_of, lora, write
from tests.engine.conftest import Engine
from tests.engine.test_honest import HONEST


@pytest.fixture(scope="module")
def cuda(bases, tmp_path_factory):
    said = ("--device", "cuda", "--base", bases / "bert", "--base-id", "tiny/bert")
    engine = Engine(tmp_path_factory.mktemp("cuda"), *said)
    yield engine
    engine.stop()


def outcomes(verdict):
    return verdict["state"], verdict["depth"], [(check["id"], check["outcome"]) for check in verdict["checks"]]


def test_it_says_on_which_device_it_is(cuda):
    assert cuda.ready["engine"]["device"] == "cuda:0"


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_adapter_is_judged_as_on_the_cpu(name, bert, cuda, tmp_path):
    folder, facts = write(HONEST[name], tmp_path), facts_of(HONEST[name])
    assert outcomes(cuda.validate(folder, facts)) == outcomes(bert.validate(folder, facts))


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_saboteur_is_judged_as_on_the_cpu(name, bert, cuda, tmp_path):
    folder, facts = write(SABOTEURS[name][1](lora()), tmp_path), facts_of(lora())
    assert outcomes(cuda.validate(folder, facts)) == outcomes(bert.validate(folder, facts))
