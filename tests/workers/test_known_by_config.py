"""A base that is known by its config alone, from the push to the verdict: fitted, not run, and run once it is here."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from registry.kernel.policy import NOBODY
from registry.models import Base, BaseManifest, Repository, Verdict
from registry.proof import fit
from registry.proof.verdicts.requests import latest
from registry.publish import push
from registry.publish.push import MAIN, Inline, Intent
from registry.repos.lists import tallies
from registry.repos.lists.catalog import Query
from tests import adapters, once
from tests.workers.conftest import validate
from workers import base_cache, base_measurements
from workers.engines import capabilities, warm_engines

pytestmark = [pytest.mark.merge, pytest.mark.engine, pytest.mark.django_db(transaction=True)]
BERT, LLAMA = adapters.TINY_BERT.id, adapters.TINY_LLAMA.id


@pytest.fixture(scope="module")
def made():
    """The tiny bases, in folders `bert` and `llama`."""
    assert capabilities.host_python().exists(), f"{capabilities.host_python()} is missing: build it with `make engines`"
    capabilities.unfit.cache_clear()
    yield once.tiny_bases(capabilities.host_python())
    warm_engines.ENGINES.stop()


@pytest.fixture(scope="module")
def measured(made):
    """Return the engine's measurement of each base."""
    found = once.measured(capabilities.host_python(), made)
    return {BERT: found["bert"], LLAMA: found["llama"]}


@pytest.fixture
def know(made, measured, db):
    """Make a base known by the config of one of the tiny ones, as `shelf add --config` does."""

    def know_one(name: str, like: str) -> Base:
        file = made / like.rpartition("/")[2] / "config.json"
        base = base_cache.add_config(name, file, tell=lambda line: None)
        fit.remember(base, capabilities.built()[0], measured[like])
        return base

    return know_one


@pytest.fixture
def known(know) -> None:
    know(BERT, BERT)
    know(LLAMA, LLAMA)


@pytest.fixture
def judged(cast, django_capture_on_commit_callbacks):
    """Push files as an adapter and return its verdict after one validation."""
    repository = cast.repository("alice/reviews")

    def judge(files: adapters.Files) -> Verdict:
        operations = [Inline(path, content) for path, content in files.items()]
        revision = push.receive(Intent(repository, MAIN, cast.session("alice"), "weights"), operations).revision
        return once_more(latest(revision))

    return judge


def once_more(verdict: Verdict) -> Verdict:
    validate(verdict.pk)
    return Verdict.objects.get(pk=verdict.pk)


def failed(verdict: Verdict) -> dict[str, dict]:
    return {check["id"]: check for check in verdict.result["checks"] if check["outcome"] == "failed"}


def with_base(files: adapters.Files, base: str | None) -> adapters.Files:
    config = json.loads(files[adapters.CONFIG]) | {"base_model_name_or_path": base}
    return files | {adapters.CONFIG: json.dumps(config).encode()}


def test_it_is_fitted_and_not_run_and_run_once_the_weights_are_here(known, made, judged):
    verdict = judged(adapters.lora(adapters.TINY_BERT))
    assert (verdict.state, verdict.result["depth"]) == ("passed", "fit"), failed(verdict)
    checks = {check["id"]: check["outcome"] for check in verdict.result["checks"]}
    assert {checks["fit.missing"], checks["fit.unexpected"], checks["fit.shape"]} == {"passed"}
    assert not any(name.startswith(("load.", "run.")) for name in checks)
    assert verdict.result["base"]["id"] == BERT

    base_cache.add_folder(BERT, made / "bert", source="a test", tell=lambda line: None)
    again = latest(verdict.revision)
    assert (again.number, again.state) == (2, "queued")
    assert once_more(again).result["depth"] in ("run", "evaluated")


def test_another_size_fails_with_the_numbers(known, judged):
    wrong = with_base(adapters.lora(adapters.MINILM), BERT)
    check = failed(judged(wrong))
    assert "fit.shape" in check or "fit.unexpected" in check
    assert any("32" in one["message"] or "no place" in one["message"] for one in check.values())


def test_a_path_as_base_is_answered_with_the_base_it_fits_and_a_repaired_config(known, judged):
    verdict = judged(with_base(adapters.lora(adapters.TINY_BERT), "/home/alice/models/bert"))
    check = failed(verdict)["base.local-path"]
    assert check["fix"] == (
        f"Set base_model_name_or_path to '{BERT}', which it fits. `dovetail repair` proposes it in a pull request."
    )
    assert check["where"]["fits"] == [BERT]
    address = f"/api/v1/adapters/alice/reviews/revisions/{verdict.revision.oid}/files/adapter_config.json"
    answer = Client().get(address, {"view": "repaired"})
    assert answer.status_code == 200, answer.content
    assert answer.json()["base_model_name_or_path"] == BERT
    assert answer["X-Dovetail-View"].startswith(f"repaired; base_model_name_or_path = {BERT}")
    assert Client().get(address).status_code == 302, "the bytes themselves never change"


def test_a_base_that_was_not_measured_is_measured_by_the_first_verdict_that_needs_it(known, judged):
    BaseManifest.objects.filter(base=BERT).delete()
    told = judged(adapters.lora(adapters.TINY_BERT)).result["fits"]
    assert [(one["base"], one["fits"]) for one in told["bases"]] == [(BERT, True), (LLAMA, False)]
    assert told["left_out"] == 0


def test_while_a_base_cannot_be_measured_nobody_is_advised_to_take_another(known, know, judged, monkeypatch, caplog):
    know("tiny/twin", BERT)
    BaseManifest.objects.filter(base=BERT).delete()
    with monkeypatch.context() as patch:
        patch.setattr(base_measurements, "CPU_SECONDS", -1.0)
        verdict = judged(with_base(adapters.lora(adapters.TINY_BERT), "./bert"))
        judged(with_base(adapters.lora(adapters.TINY_BERT, seed=2), "./bert"))
    assert caplog.text.count("ended by its limit of time (cpu)") == 1, "it is tried for one verdict, not for each"
    assert f"names {BERT}, which this hub has not measured yet" in failed(verdict)["base.local-path"]["fix"]
    assert (verdict.result["fits"]["left_out"], verdict.result["fits"]["note"]) == (1, f"Not measured yet: {BERT}.")
    address = f"/api/v1/adapters/alice/reviews/revisions/{verdict.revision.oid}/files/adapter_config.json"
    refused = Client().get(address, {"view": "repaired"})
    assert (refused.status_code, "Try again" in refused.json()["fix"]) == (400, True)
    assert base_measurements.measure_missing_shapes() == 1
    assert Client().get(address, {"view": "repaired"}).json()["base_model_name_or_path"] == BERT


def test_two_bases_of_equal_shape_are_not_told_apart(known, know, judged):
    know("tiny/twin", BERT)
    files = with_base(adapters.lora(adapters.TINY_BERT), "./bert")
    del files[adapters.CARD]  # which names one of them
    verdict = judged(files)
    check = failed(verdict)["base.local-path"]
    assert BERT in check["fix"]
    assert "tiny/twin" in check["fix"]
    assert "cannot tell" in check["fix"]
    address = f"/api/v1/adapters/alice/reviews/revisions/{verdict.revision.oid}/files/adapter_config.json"
    refused = Client().get(address, {"view": "repaired"})
    assert (refused.status_code, refused.json()["code"]) == (400, "value-invalid")
    chosen = Client().get(address, {"view": "repaired", "base": "tiny/twin"})
    assert chosen.json()["base_model_name_or_path"] == "tiny/twin"


def test_a_verdict_says_which_bases_it_fits_and_why_not_the_others(known, judged):
    told = judged(adapters.lora(adapters.TINY_BERT)).result["fits"]
    assert [(one["base"], one["fits"]) for one in told["bases"]] == [(BERT, True), (LLAMA, False)]
    assert told["bases"][1]["why"]


def test_a_verdict_says_who_serves_it_and_the_catalogue_finds_it_by_that(known, judged):
    verdict = judged(adapters.lora(adapters.TINY_LLAMA, task="CAUSAL_LM"))
    said = {item["engine"]: item for item in verdict.result["serving"]}
    assert said["vllm"]["outcome"] == "serves"
    assert said["vllm"]["flags"] == ["--enable-lora", "--max-lora-rank 8"]
    assert Repository.objects.get().serves.startswith("\nvllm\n")
    for engine, found in (("vllm", 1), ("diffusers", 0)):
        page = Client().get("/api/v1/adapters", {"engine": engine}).json()
        assert len(page["items"]) == found
    assert dict(tallies.tally(NOBODY, Query()).commonest["engine"])["vllm"] == 1


def test_rslora_on_sglang_is_wrong_in_the_verdict_too(known, judged):
    verdict = judged(adapters.lora(adapters.TINY_LLAMA, task="CAUSAL_LM", use_rslora=True))
    said = next(item for item in verdict.result["serving"] if item["engine"] == "sglang")
    assert said["outcome"] == "wrong"
    assert "2 times too weak" in said["reason"], "its rank is 4"
    assert said["flags"] == []


def test_a_config_that_no_model_can_be_built_from_is_not_known(db, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(CommandError, match="cannot build"):
        call_command("shelf", "add", "acme/odd", "--config", str(tmp_path))
    assert not Base.objects.exists()


def test_a_base_is_made_known_and_measured_again_by_command(made, db):
    call_command("shelf", "add", BERT, "--config", str(made / "bert" / "config.json"))
    assert not Base.objects.get().has_weights
    before = set(BaseManifest.objects.values_list("pk", flat=True))
    assert before
    call_command("shelf", "measure", BERT)
    after = set(BaseManifest.objects.filter(base=BERT).values_list("pk", flat=True))
    assert after
    assert not before & after
    assert fit.unmeasured() == []
