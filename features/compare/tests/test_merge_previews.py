"""GET …/merge-preview and its page: overlaps and sums as numpy computes them from whole matrices."""

import numpy as np
import pytest

from hub.site.measures import percent
from registry.models import Repository
from registry.publish import moves
from tests.api.conftest import lora, measured

NAMES = [f"base_model.model.layers.{layer}.q_proj" for layer in range(3)]


@pytest.fixture
def random():
    return np.random.default_rng(11)


def preview(client, other, status=200, name="alice/reviews"):
    answer = client.get(f"/api/v1/adapters/{name}/revisions/main/merge-preview", {"other": other})
    assert answer.status_code == status, answer.content
    return answer.json()


def pairs(random, rank, names=NAMES, shape=(48, 64)):
    return {name: (random.normal(size=(rank, shape[1])), random.normal(size=(shape[0], rank))) for name in names}


def tensors_of(changes):
    return {key: value for name, pair in changes.items() for key, value in lora(name, *pair).items()}


def bases(matrix, rank):
    left, _, right = np.linalg.svd(matrix)
    return left[:, :rank], right[:rank].T


def test_overlaps_and_sums_are_those_of_the_whole_matrices(ask, cast, repository, random):
    one, two = pairs(random, 4), pairs(random, 2)
    two[NAMES[1]] = (one[NAMES[1]][0][:2], two[NAMES[1]][1])  # reads a part of what the first one reads
    measured(cast, repository, tensors_of(one), r=4, lora_alpha=8)
    other = cast.repository("bob/other", by="bob")
    measured(cast, other, tensors_of(two | pairs(random, 2, ["base_model.model.extra"])), r=2, lora_alpha=2)
    document = preview(ask(), "bob/other")
    assert (document["adapter"], document["other"]["adapter"]) == ("alice/reviews", "bob/other")
    assert (document["shared"], document["compared"], document["alone"]) == (3, 3, [0, 1])
    vectors = []
    for row, name in zip(document["modules"], NAMES, strict=True):
        first, second = (scale * up @ down for scale, (down, up) in ((2, one[name]), (1, two[name])))
        vectors.append((first, second))
        norms = [np.linalg.norm(first), np.linalg.norm(second)]
        assert row["norms"] == pytest.approx(norms, rel=1e-4)
        assert row["merged"] == pytest.approx(np.linalg.norm(first + second), rel=1e-4)
        assert row["cosine"] == pytest.approx((first * second).sum() / np.prod(norms), abs=1e-4)
        sides = bases(first, 4), bases(second, 2)
        for side, key in ((0, "columns"), (1, "rows")):
            cosines = np.linalg.svd(sides[0][side].T @ sides[1][side], compute_uv=False).clip(0, 1)
            assert row[key]["overlap"] == pytest.approx((cosines**2).sum() / 2, abs=1e-4)
            assert row[key]["angles"] == pytest.approx(np.degrees(np.arccos(cosines)), abs=0.1)
            assert row[key]["distance"] == pytest.approx(np.sqrt(max(0, 2 - (cosines**2).sum())), abs=2e-3)
            assert (row[key]["dimensions"], row[key]["by_chance"]) == ([4, 2], 4 / (48, 64)[side])
        assert row["changed"] == pytest.approx(
            [
                np.linalg.norm(second @ sides[0][1]) / norms[0],
                np.linalg.norm(first @ sides[1][1]) / norms[1],
            ],
            rel=1e-4,
        )
        large = [np.abs(side) >= np.quantile(np.abs(side), 0.8) for side in (first, second)]
        both = large[0] & large[1]
        assert row["sign_conflict"] == pytest.approx((first * second < 0)[both].mean(), abs=0.01)
        assert row["kept_by_both"] == pytest.approx(both.mean(), abs=0.001)
    assert document["modules"][1]["rows"]["overlap"] == pytest.approx(1, abs=1e-4)
    first, second = (np.concatenate([pair[side].ravel() for pair in vectors]) for side in (0, 1))
    total = document["total"]
    assert total["merged"] == pytest.approx(np.linalg.norm(first + second), rel=1e-4)
    assert total["growth"] == pytest.approx(
        np.linalg.norm(first + second) / np.hypot(np.linalg.norm(first), np.linalg.norm(second)), rel=1e-4
    )
    page = ask().get("/alice/reviews/merge-preview/main", {"other": "bob/other"}).content.decode()
    assert "both change 3 modules" in page
    assert f">{percent(document['column_overlap'])}</td>" in page
    assert f">{percent(total['growth'])}</td>" in page


def test_the_same_adapter_agrees_with_itself_and_cancels_its_opposite(ask, cast, repository, random):
    one = pairs(random, 4)
    measured(cast, repository, tensors_of(one), r=4)
    opposite = cast.repository("bob/opposite", by="bob")
    measured(cast, opposite, tensors_of({name: (-down, up) for name, (down, up) in one.items()}), "BF16", r=4)
    same, against = preview(ask(), "alice/reviews@main"), preview(ask(), "bob/opposite")
    assert (same["total"]["growth"], same["sign_conflict"]) == (pytest.approx(2**0.5, rel=1e-4), 0)
    assert [same["column_overlap"], same["row_overlap"]] == pytest.approx([1, 1], abs=1e-4)
    assert same["total"]["changed"] == pytest.approx([1, 1], rel=1e-4)
    assert against["total"]["growth"] < 0.01
    assert against["sign_conflict"] > 0.99


def test_what_may_not_be_read_or_has_no_factors_is_not_compared(ask, cast, repository, random):
    measured(cast, repository, tensors_of(pairs(random, 4)), r=4)
    plain, private, gated, stranger = (
        cast.repository(f"bob/{name}", by="bob", private=name == "private")
        for name in ("plain", "private", "gated", "stranger")
    )
    measured(cast, plain, {"weights": random.normal(size=(4, 4))})
    for hidden in (private, gated):
        measured(cast, hidden, tensors_of(pairs(random, 4)), r=4)
    zero = {name: (down, 0 * up) for name, (down, up) in pairs(random, 4).items()}
    measured(cast, stranger, tensors_of(zero), r=4)
    Repository.objects.filter(pk=gated.pk).update(gated="manual")
    assert "holds no pairs" in preview(ask(), "bob/plain")["reason"]
    assert "finite values other than 0" in preview(ask(), "bob/stranger")["reason"]
    assert preview(ask(), "bob/private", 404)["code"] == preview(ask(), "bob/nobody", 404)["code"]
    assert preview(ask(), "bob/gated", 401)["code"] == "gate-sign-in-required"
    assert preview(ask("bob"), "bob/gated")["compared"] == 3
    assert preview(ask(), "", 400)["code"] == "value-invalid"
    moved = Repository.objects.get(pk=plain.pk)
    moves.move(moved, "bob/simple", cast.session("bob"))
    sentences = {}
    for other, status in (("bob/private", 404), ("bob/nobody", 404), ("bob/gated", 409), ("bob/plain", 409)):
        answer = ask().get("/alice/reviews/merge-preview/main", {"other": other})
        assert (answer.status_code, b'role="alert"' in answer.content) == (status, True), other
        sentences[other] = answer.content.decode().partition('role="alert"')[2].partition("</div>")[0]
    assert sentences["bob/private"].replace("bob/private", "bob/nobody") == sentences["bob/nobody"]
    assert "bob/plain is now bob/simple." in sentences["bob/plain"]
    assert ask().get("/alice/reviews/merge-preview/main", {"other": "no name"}).status_code in (400, 404)
    assert ask().get("/bob/gated/merge-preview/main").url.startswith("/login?")
    assert ask("carol").get("/bob/gated/merge-preview/main").status_code == 403
