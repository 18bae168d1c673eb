"""GET …/compare/{a}...{b}: files, config, weights as the matrices they stand for, and measurements."""

import numpy as np
import pytest

from features.compare import comparisons, jobs
from features.compare.models import WeightComparison
from registry.models import Blob
from tests.api.conftest import adapter_files, judged, lora, pushed
from tests.api.test_bases import evaluation

COMPARE = "/api/v1/adapters/alice/reviews/compare"
Q, V = "base_model.model.h.0.q_proj", "base_model.model.h.0.v_proj"


@pytest.fixture
def random():
    return np.random.default_rng(1)


@pytest.fixture
def ab(cast, repository, random):
    """Two commits: the second scales by another alpha, has another rank in q, one more and one less module."""

    def values(*shape):
        return np.round(random.normal(size=shape), 2)

    old, new = (values(4, 6), values(5, 4)), (values(2, 6), values(5, 2))
    kept = values(3)
    first = lora(Q, *old) | lora(V, values(4, 6), values(5, 4)) | {"norm": kept, "head": values(2, 3)}
    second = lora(Q, *new) | {"norm": 2 * kept, "head": values(3, 3), "extra": values(2)}
    a = pushed(cast, repository, title="a", files=adapter_files(first, r=4))
    b = pushed(cast, repository, title="b", files=adapter_files(second, r=2, lora_alpha=8) | {"notes.txt": b"x"})
    before, after = old[1] @ old[0] * 16 / 4, new[1] @ new[0] * 8 / 2
    return a, b, before, after


def compared(client, a, b, status=200):
    answer = client.get(f"{COMPARE}/{a}...{b}")
    assert answer.status_code == status, answer.content
    return answer


def test_pairs_count_as_the_matrices_that_they_stand_for(ask, ab):
    a, b, before, after = ab
    answer = compared(ask(), a.oid, "main").json()
    [weights] = answer["weights"]
    assert (weights["state"], weights["added"]) == ("compared", ["extra"])
    assert weights["removed"] == [f"{V}.lora_A.weight", f"{V}.lora_B.weight"]
    shapes = {row["tensor"]: (row["before"], row["after"]) for row in weights["reshaped"]}
    assert shapes["head"] == ([2, 3], [3, 3])
    modules = {row["module"]: row for row in weights["modules"]}
    assert modules.keys() == {Q, "norm"}
    expected = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert modules[Q]["relative_change"] == pytest.approx(expected, rel=1e-6)
    cosine = (before * after).sum() / np.linalg.norm(before) / np.linalg.norm(after)
    assert modules[Q]["cosine"] == pytest.approx(cosine, rel=1e-6)
    assert (modules["norm"]["relative_change"], modules["norm"]["cosine"]) == pytest.approx((1, 1))
    assert [(row["path"], row["change"]) for row in answer["files"]] == [
        ("adapter_config.json", "changed"), ("adapter_model.safetensors", "changed"), ("notes.txt", "added"),
    ]  # fmt: skip
    assert [(row["key"], row["before"], row["after"]) for row in answer["config"]] == [
        ("lora_alpha", 16, 8),
        ("r", 4, 2),
    ]
    assert answer["after"]["revision"] == b.oid


def test_what_only_the_config_scales_has_changed_too_and_the_same_bytes_have_not(ask, cast, repository, random):
    tensors = lora(Q, random.normal(size=(4, 6)), random.normal(size=(5, 4)))
    a = pushed(cast, repository, title="a", files=adapter_files(tensors, r=4))
    b = pushed(cast, repository, title="b", files=adapter_files(tensors, r=4, lora_alpha=32))
    c = pushed(
        cast, repository, title="c", files=adapter_files(tensors, r=4, alpha_pattern={"q_proj": 48}, use_rslora=True)
    )
    [weights] = compared(ask(), a.oid, b.oid).json()["weights"]
    assert weights["modules"] == [{"module": Q, "relative_change": pytest.approx(1), "cosine": pytest.approx(1)}]
    [weights] = compared(ask(), a.oid, c.oid).json()["weights"]
    assert weights["modules"][0]["relative_change"] == pytest.approx(48 / 2 / 4 - 1)
    [weights] = compared(ask(), b.oid, b.oid).json()["weights"]
    assert (weights["state"], weights["modules"]) == ("same", [])


def test_another_dtype_and_values_that_are_no_numbers(ask, cast, repository):
    ones = lora(Q, np.ones((4, 6)), np.ones((5, 4)))
    a = pushed(cast, repository, title="a", files=adapter_files(ones))
    b = pushed(cast, repository, title="b", files=adapter_files(ones, "BF16"))
    broken = {name: values.copy() for name, values in ones.items()}
    broken[f"{Q}.lora_A.weight"][0, 0] = np.nan
    c = pushed(cast, repository, title="c", files=adapter_files(broken))
    d = pushed(cast, repository, title="d", files=adapter_files(ones) | {"adapter_model.safetensors": b"not one"})
    [weights] = compared(ask(), a.oid, b.oid).json()["weights"]
    assert weights["modules"][0]["relative_change"] == 0
    assert weights["retyped"][0] == {"tensor": f"{Q}.lora_A.weight", "before": "F32", "after": "BF16"}
    for _ in range(2):  # computed, then as it was kept
        [weights] = compared(ask(), a.oid, c.oid).json()["weights"]
        assert weights["modules"] == [{"module": Q, "relative_change": None, "cosine": None}]
        [weights] = compared(ask(), a.oid, d.oid).json()["weights"]
        assert (weights["state"], "not a safetensors file" in weights["reason"]) == ("unknown", True)


def test_large_weights_are_compared_by_a_worker_once(ask, ab, monkeypatch, settings):
    settings.COMPARISON_DOORBELL = "features.compare.tests.test_rest.notify"
    monkeypatch.setattr(comparisons, "SMALL_BYTES", 0)
    a, b, *_ = ab
    for _ in range(2):
        answer = compared(ask(), a.oid, b.oid, 202)
        assert (answer["Retry-After"], answer.json()["weights"][0]["state"]) == ("5", "waiting")
        assert "ETag" not in answer
        assert answer.json()["config"]
    assert WeightComparison.objects.count() == 1
    jobs.work()
    answer = compared(ask(), a.oid, b.oid)
    assert len(answer.json()["weights"][0]["modules"]) == 2
    assert ask().get(f"{COMPARE}/{a.oid}...{b.oid}", headers={"If-None-Match": answer["ETag"]}).status_code == 304
    monkeypatch.setattr(comparisons, "MAX_BYTES", 1)
    [weights] = compared(ask(), b.oid, a.oid).json()["weights"]
    assert (weights["state"], "more than the 1 that are compared" in weights["reason"]) == ("unknown", True)


def notify():
    return True


def test_bytes_that_the_store_lost_are_tried_three_times(ask, ab, monkeypatch, settings):
    settings.COMPARISON_DOORBELL = "features.compare.tests.test_rest.notify"
    monkeypatch.setattr(comparisons, "SMALL_BYTES", 0)
    a, b, *_ = ab
    compared(ask(), a.oid, b.oid, 202)
    WeightComparison.objects.update(before="0" * 64)
    for _ in range(comparisons.MAX_ATTEMPTS):
        assert WeightComparison.objects.get().result is None
        WeightComparison.objects.update(free_at=Blob.objects.first().created_at)
        jobs.work()
    assert "could not be read" in WeightComparison.objects.get().result["problem"]
    WeightComparison.objects.update(result=None, free_at=Blob.objects.first().created_at)  # three workers died of it
    jobs.work()
    assert WeightComparison.objects.get().result is not None


def test_metrics_of_both_sides_are_there(ask, ab):
    a, b, *_ = ab
    judged(a, evals=[evaluation(0.5, 0.75)])
    judged(b, evals=[evaluation(0.5, 1.0), evaluation(9.0, 8.0, "lower", "loss")])
    evals = compared(ask(), a.oid, b.oid).json()["evals"]
    assert [(row["metric"], row["before"], row["after"], row["change"]) for row in evals] == [
        ("accuracy", 0.75, 1.0, 0.25), ("loss", None, 8.0, None),
    ]  # fmt: skip


def test_who_may_not_have_the_bytes_has_no_comparison(ask, cast, ab, repository, secret):
    a, b, *_ = ab
    assert ask().get(f"/api/v1/adapters/acme/secret/compare/{a.oid}...main").json()["code"] == "adapter-not-found"
    assert ask().get(f"{COMPARE}/{a.oid}...nothing").json()["code"] == "revision-not-found"
    repository.gated = "manual"
    repository.save()
    assert ask("carol").get(f"{COMPARE}/{a.oid}...{b.oid}").json()["code"] == "access-required"
    assert compared(ask("alice", "read"), a.oid, b.oid)


def test_names_with_slashes_can_be_compared(ask, ab):
    a, *_ = ab
    assert compared(ask(), "refs/heads/main", a.oid).json()["after"]["revision"] == a.oid
