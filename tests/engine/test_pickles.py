"""Adapters that their library saved as pickles: each is proven like its safetensors twin, and none is ever opened."""

import io
import shutil
import sys
from pathlib import Path

import pytest

from dovetail.adapters import check, files_in
from dovetail.adapters.files import header as headers
from dovetail.adapters.files import torchfile
from dovetail.adapters.formats import twins
from tests import adapters
from tests.adapters import WEIGHTS
from tests.engine.test_saboteurs import failures
from tests.pickles.hostile import IMPORTS

WHOLE = ("prefix", "prefix_flat", "mam", "unipelt", "fixed_head", "loreft")  # the first four are never safetensors


@pytest.fixture(scope="session")
def pickled(trained):
    """A folder with a trained adapter of each method, as save_adapter writes it unless it is told otherwise."""
    return trained / "pickled"


def tensors(folder: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Every tensor of the adapter and its head, as everybody sees them."""
    found = {}
    for path, opener in twins.join(files_in(folder)).files.items():
        if path.endswith(".safetensors"):
            with opener() as file:
                data = file.read()
            every = headers.read(io.BytesIO(data)).tensors.items()
            found |= {name: (one.dtype, one.shape, data[one.offset : one.end]) for name, one in every}
    return found


def test_every_method_is_read_from_a_pickle_as_from_safetensors(trained, pickled):
    methods = sorted(path.name for path in pickled.iterdir())
    assert len(methods) == 24
    for name in methods:
        assert not list((pickled / name).glob("*.safetensors"))
        assert tensors(pickled / name) == tensors(trained / name), name


def as_pickle(data: bytes) -> bytes:
    made = io.BytesIO()
    torchfile.write(headers.read(io.BytesIO(data)), io.BytesIO(data), made)
    return made.getvalue()


@pytest.mark.parametrize("name", WHOLE)
def test_it_passes_as_its_library_saves_it(name, bert4, pickled):
    assert not list((pickled / name).glob("*.safetensors"))
    verdict = bert4.validate(pickled / name)
    assert failures(verdict) == [], verdict["checks"]
    assert (verdict["state"], verdict["format"]) == ("passed", "adapters")
    said = next(one["message"] for one in verdict["checks"] if one["id"] == "file.pickle")
    assert "pytorch_adapter.bin" in said
    assert "without unpickling" in said


def test_the_client_says_the_same_of_a_pickle_without_torch(pickled):
    found = {result.id: result for result in check(files_in(pickled / "mam"))}
    assert [name for name, result in found.items() if result.outcome == "failed"] == []
    assert "torch" not in sys.modules


def test_a_peft_adapter_in_a_pickle_passes_on_each_engine_like_its_twin(every_bert, tmp_path):
    files = adapters.lora()
    files["adapter_model.bin"] = as_pickle(files.pop(WEIGHTS))
    adapters.write(files, tmp_path)
    verdict = every_bert.validate(tmp_path)
    assert (verdict["state"], failures(verdict)) == ("passed", [])
    assert verdict["depth"] in ("run", "evaluated")


def test_weights_that_fail_as_safetensors_fail_by_the_same_check_as_a_pickle(bert, tmp_path):
    files = adapters.with_nan()(adapters.lora())
    files["adapter_model.bin"] = as_pickle(files.pop(WEIGHTS))
    adapters.write(files, tmp_path)
    assert failures(bert.validate(tmp_path)) == ["tensors.not-finite"]


@pytest.mark.parametrize("name", IMPORTS)
def test_a_pickle_that_would_run_code_fails_and_asks_for_quarantine(name, bert, tmp_path):
    files = adapters.lora()
    files.pop(WEIGHTS)
    files["adapter_model.bin"] = IMPORTS[name][0]
    adapters.write(files, tmp_path)
    verdict = bert.validate(tmp_path)
    (said,) = [one for one in verdict["checks"] if one["outcome"] == "failed"]
    assert (said["id"], said["where"]["quarantine"]) == ("file.pickle", True)
    assert "adapter_model.bin" in said["message"]
    assert "safe_serialization" in said["fix"]


def test_two_forms_that_differ_are_warned_of_and_the_safetensors_file_is_proven(bert, tmp_path):
    files = adapters.lora()
    adapters.write(files | {"adapter_model.bin": as_pickle(adapters.lora(seed=9)[WEIGHTS])}, tmp_path)
    verdict = bert.validate(tmp_path)
    assert verdict["state"] == "passed"
    warned = [one["id"] for one in verdict["checks"] if one["outcome"] == "warned"]
    assert "file.twins-differ" in warned


def test_two_forms_of_the_same_weights_pass_without_a_word(bert, tmp_path):
    files = adapters.lora()
    adapters.write(files | {"adapter_model.bin": as_pickle(files[WEIGHTS])}, tmp_path)
    said = {one["id"]: one for one in bert.validate(tmp_path)["checks"]}
    assert said["file.twins-differ"]["outcome"] == said["file.pickle"]["outcome"] == "passed"
    assert "1 pickle" in said["file.twins-differ"]["message"]


def test_a_head_in_a_pickle_beside_an_adapter_in_safetensors_is_read_too(trained, pickled, tmp_path):
    place = shutil.copytree(trained / "seq_bn", tmp_path / "mixed")
    (place / "model_head.safetensors").unlink()
    shutil.copy(pickled / "seq_bn" / "pytorch_model_head.bin", place)
    said = {result.id: result for result in check(files_in(place))}
    assert "The head has 4 more" in said["file.header"].message
