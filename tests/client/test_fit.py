"""`dovetail fit` asks a hub which of its bases a folder fits; `check` says who would serve it, without a hub."""

import json

import pytest

from tests import live
from tests.adapters import MINILM, TINY_LLAMA, lora, write
from tests.fit.bases import BERT, CONFIGS


@pytest.fixture(scope="module")
def knowing(tmp_path_factory):
    """A hub that knows BERT by its config, and a second base of MiniLM's shape."""
    folder = tmp_path_factory.mktemp("hub")
    small = CONFIGS[BERT] | {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6}
    with live.hub(folder) as running:
        for name, config in ((BERT, CONFIGS[BERT]), (MINILM.id, small)):
            (folder / "config.json").write_text(json.dumps(config))
            running.manage("shelf", "add", name, "--config", str(folder / "config.json"))
        yield running


@pytest.mark.merge
@pytest.mark.engine
def test_a_folder_is_told_its_bases_and_why_not_the_others(here, folder, knowing):
    done = here("fit", folder, hub=knowing)
    assert (done.returncode, done.stdout) == (0, f"{MINILM.id}\n"), done.stderr
    assert f"not {BERT}: " in done.stderr
    assert "have another shape" in done.stderr
    said = json.loads(here("fit", folder, "--json", hub=knowing).stdout)
    assert [one["base"] for one in said["fits"]] == [MINILM.id]


@pytest.mark.merge
@pytest.mark.engine
def test_a_folder_that_fits_nothing_exits_1(here, tmp_path, knowing):
    done = here("fit", write(lora(TINY_LLAMA, task="SEQ_CLS"), tmp_path / "other"), hub=knowing)
    assert (done.returncode, done.stdout) == (1, "")
    assert "fits no base" in done.stderr


def test_a_folder_without_an_adapter_is_a_usage_error(here, tmp_path):
    done = here("fit", tmp_path, hub="http://127.0.0.1:9")
    assert done.returncode == 2
    assert "contains no adapter_config.json" in done.stderr


def test_check_says_who_would_serve_it(here, tmp_path):
    files = lora(TINY_LLAMA, task="CAUSAL_LM", rank=16, use_rslora=True)
    done = here("check", write(files, tmp_path / "router"))
    assert "serves  vllm" in done.stdout
    assert "--max-lora-rank 16" in done.stdout
    assert "wrong   sglang" in done.stdout
    said = json.loads(here("check", tmp_path / "router", "--json").stdout)
    assert {item["engine"]: item["outcome"] for item in said["serving"]}["sglang"] == "wrong"


def test_check_tells_nobody_to_write_a_path_of_his_own_disk_into_the_card(here, tmp_path):
    config = {"peft_type": "LORA", "base_model_name_or_path": "/home/alice/bert"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    said = json.loads(here("check", tmp_path, "--json").stdout)
    [card] = [check for check in said["checks"] if check["id"] == "card.base"]
    assert (card["outcome"], card["fix"]) == ("warned", "Add base_model: org/name to the top of README.md.")
