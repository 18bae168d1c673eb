"""An adapter is loaded in a child of its own or by the resident that stays: the verdicts are the same, word by word."""

import json
import shutil

import pytest

from tests.adapters import SABOTEURS, facts_of, lora, write
from tests.engine.conftest import Engine, python_of
from tests.engine.test_honest import FOR_DECODERS, HONEST
from tests.engine.test_library import KINDS
from tests.engine.test_library import SABOTEURS as LIBRARY_SABOTEURS

pytestmark = pytest.mark.night


@pytest.fixture(scope="module")
def stays(bases, tmp_path_factory):
    """Engines whose resident loads all adapters, by base and engine; each is started when first asked for."""
    running = {}

    def engine(base, name="e5", *options):
        if (base, name, options) not in running:
            said = ("--no-fork", "--base", bases / base, "--base-id", f"tiny/{base}", *options)
            running[base, name, options] = Engine(tmp_path_factory.mktemp("stays"), *said, python=python_of(name))
        return running[base, name, options]

    yield engine
    for one in running.values():
        one.stop()


def told(verdict):
    """A verdict without what no two runs have in common: how long it took, and how much memory there was."""
    checks = [
        {key: value for key, value in check.items() if key != "duration_ms"}
        for check in verdict["checks"]
        if check["id"] != "run.cost"
    ]
    return verdict | {"checks": checks, "duration_ms": 0, "cost": None}


def assert_same(forking, staying, folder, card, **job):
    first, second = (told(engine.validate(folder, card, **job)) for engine in (forking, staying))
    assert json.dumps(second, indent=1) == json.dumps(first, indent=1)
    return first


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_adapter_for_an_encoder_gets_the_same_verdict(name, bert, stays, tmp_path):
    files = HONEST[name]
    verdict = assert_same(bert, stays("bert"), write(files, tmp_path), facts_of(files))
    assert verdict["state"] == "passed"


@pytest.mark.parametrize("name", FOR_DECODERS)
def test_an_honest_adapter_for_a_decoder_gets_the_same_verdict(name, llama, stays, tmp_path):
    files = FOR_DECODERS[name]
    verdict = assert_same(llama, stays("llama"), write(files, tmp_path), facts_of(files))
    assert verdict["state"] == "passed"


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_saboteur_gets_the_same_verdict(name, bert, stays, tmp_path):
    _, spoil = SABOTEURS[name]
    verdict = assert_same(bert, stays("bert"), write(spoil(lora()), tmp_path), facts_of(lora()))
    assert verdict["state"] == "failed"


@pytest.mark.parametrize("name", KINDS)
def test_an_adapter_of_the_library_gets_the_same_verdict(name, bert4, stays, trained):
    assert assert_same(bert4, stays("bert", "e4"), trained / name, {})["state"] == "passed"


@pytest.mark.parametrize("name", LIBRARY_SABOTEURS)
def test_a_saboteur_of_the_library_gets_the_same_verdict(name, bert4, stays, trained, tmp_path):
    _, spoil = LIBRARY_SABOTEURS[name]
    shutil.copytree(trained / "seq_bn", tmp_path / "spoilt")
    spoil(tmp_path / "spoilt")
    assert assert_same(bert4, stays("bert", "e4"), tmp_path / "spoilt", {})["state"] == "failed"
