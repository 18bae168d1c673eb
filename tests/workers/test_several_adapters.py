"""From the push to the verdict of repositories with several adapters, and of formats that no engine runs."""

from dataclasses import replace

import pytest

from dovetail.adapters.results.report import EngineRow, Evaluation
from registry.kernel import site_settings
from registry.kernel.errors import RevisionNotVerified
from registry.kernel.policy import Caller
from registry.models import Ref
from registry.proof.verdicts.requests import NOT_RUN
from registry.repos.pull import require_served
from tests import adapters
from tests.engine.test_foreign import repository
from tests.workers.test_real_engine import bert, failed, judged, shelves  # noqa: F401 - pytest finds fixtures here
from workers.engine.job import ENGINES
from workers.validation.reports import worst_rows

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]
CARD = adapters.CARD


def test_an_engine_has_one_row_with_the_numbers_of_all_adapters():
    number = Evaluation("smoke.jsonl", 24, "accuracy", 0.5, 0.75)
    passed, failed = (
        EngineRow("e5", state="passed", evals=(number,)),
        EngineRow("e5", state="failed", check="eval.claim"),
    )
    other = replace(passed, name="e4")
    assert worst_rows({"": [passed, other]}) == (passed, other)
    of_two = worst_rows({"english": [passed, other], "german": [failed, other]})
    assert [(row.name, row.state, [one.name for one in row.evals]) for row in of_two] == [
        ("e5", "failed", ["english/smoke.jsonl"]),
        ("e4", "passed", ["english/smoke.jsonl", "german/smoke.jsonl"]),
    ]


def at(folder, files):
    return {f"{folder}/{path}": data for path, data in files.items() if path != CARD}


def test_an_adapter_in_a_folder_is_run_as_if_it_were_the_repository(bert, judged):
    found = judged({**at("final", adapters.lora()), CARD: adapters.lora()[CARD]})
    assert (found.state, failed(found)) == ("passed", [])
    assert (found.result["depth"], found.result["path"]) == ("run", "final")
    (content,) = found.result["contents"]
    assert content.pop("serves") == [row["engine"] for row in found.result["serving"] if row["outcome"] == "serves"]
    described = {"path": "final", "format": "peft", "kind": "lora", "proven": True}
    assert content == {**described, "state": "passed", "depth": "run", "failed": []}
    assert {check["where"]["path"] for check in found.result["checks"]} == {"final"}


def test_of_several_adapters_the_worst_decides_and_is_named(bert, judged):
    both = {**at("english", adapters.lora()), **at("german", adapters.with_nan()(adapters.lora(seed=1)))}
    found = judged({**both, CARD: adapters.lora()[CARD]})
    assert (found.state, failed(found)) == ("failed", ["tensors.not-finite"])
    (check,) = [check for check in found.result["checks"] if check["outcome"] == "failed"]
    assert check["where"]["path"] == "german"
    assert [(one["path"], one["state"], one["failed"]) for one in found.result["contents"]] == [
        ("english", "passed", []), ("german", "failed", ["tensors.not-finite"]),
    ]  # fmt: skip
    assert all([row["engine"] for row in one["serving"]] == one["serves"] for one in found.result["contents"])
    healed = judged({**both, **at("german", adapters.lora(seed=1)), CARD: adapters.lora()[CARD]})
    assert (healed.state, failed(healed), healed.result["depth"]) == ("passed", [], "run")
    assert len([check for check in healed.result["checks"] if check["id"] == "load.error"]) == 2


def test_a_checkpoint_beside_an_adapter_is_listed_and_refuses_nothing(bert, judged):
    broken = {f"checkpoint-5/{path}": data[:40] for path, data in adapters.lora().items() if path != CARD}
    found = judged({**adapters.lora(), **broken})
    assert (found.state, failed(found), found.result["path"]) == ("passed", [], "")
    assert [(one["path"], one["proven"]) for one in found.result["contents"]] == [("", True), ("checkpoint-5", False)]


def test_a_lora_for_images_passes_and_is_not_verified(bert, judged):
    found = judged({**repository("kohya"), CARD: b"---\nbase_model: nobody/has-this\nlicense: mit\n---\n"})
    assert (found.state, found.result["depth"], found.base) == ("passed", "static", "nobody/has-this")
    assert not Ref.objects.filter(name="refs/verified").exists()
    require_served(found.revision, Caller())
    site_settings.change_setting("pull_policy", "verified", by=None)
    with pytest.raises(RevisionNotVerified, match="looked at, since no engine here runs its format"):
        require_served(found.revision, Caller())


def test_every_format_that_no_engine_runs_is_known_to_wait_for_no_base():
    run = {name for formats in ENGINES.values() for name in formats}
    assert run
    assert not run & NOT_RUN
