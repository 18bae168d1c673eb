"""GET …/revisions/{rev}/weights: norms and ranks as numpy computes them, outliers, and the same weights in disguise."""

import numpy as np
import pytest
from django.utils import timezone

from dovetail.adapters.files.header import Header, TensorInfo
from dovetail.adapters.shapes import factors, passport, sketches
from dovetail.adapters.shapes.factors import Scales
from dovetail.adapters.shapes.passport import bands_of
from features.weights import passports
from features.weights.models import FingerprintBand, NormPopulation, WeightPassport
from registry.bytes import garbage, tensor_digests
from registry.bytes.blobs import Keys, store
from registry.kernel.errors import StoreUnavailable
from registry.models import Repository, TensorDigest
from registry.repos.contents import facts
from tests.api.conftest import adapter_files, lora, measured, pushed
from workers import pushed_files

NAMES = [f"base_model.model.layers.{layer}.{kind}" for layer in range(5) for kind in ("q_proj", "v_proj")]


def weights_of(client, name, rev="main", status=200):
    answer = client.get(f"/api/v1/adapters/{name}/revisions/{rev}/weights")
    assert answer.status_code == status, answer.content
    return answer.json()


@pytest.fixture
def random():
    return np.random.default_rng(7)


@pytest.fixture
def pairs(random):
    return {name: (random.normal(size=(4, 40)), random.normal(size=(24, 4))) for name in NAMES}


def tensors_of(pairs):
    return {key: value for name, pair in pairs.items() for key, value in lora(name, *pair).items()}


def disguised(pairs, random):
    """The same matrices by other factors, each scaled by another number, under other names."""
    made = {}
    for name, (down, up) in pairs.items():
        mixed = random.normal(size=(4, 4)) + 4 * np.eye(4)
        made[name.replace("base_model.model.", "unet.")] = (
            np.linalg.inv(mixed) @ down,
            random.uniform(0.1, 9) * up @ mixed,
        )
    return made


def test_norms_and_ranks_are_those_of_the_matrices(ask, cast, repository, pairs):
    collapsed, huge, broken = NAMES[0], NAMES[2], NAMES[3]
    pairs[collapsed] = (np.outer([1, 2, 3, 4], np.arange(40)) / 40, pairs[collapsed][1])
    pairs[huge] = (100 * pairs[huge][0], pairs[huge][1])
    pairs[broken] = (np.where(np.arange(160).reshape(4, 40) == 3, np.nan, pairs[broken][0]), pairs[broken][1])
    measured(cast, repository, tensors_of(pairs) | {"head": np.full((2, 3), 2.0)}, r=4, lora_alpha=8)
    [file] = weights_of(ask(), "alice/reviews")["files"]
    rows = {row["module"]: row for row in file["modules"]}
    assert (rows["head"]["rank"], rows["head"]["norm"]) == (0, pytest.approx(2 * 6**0.5))
    assert rows[broken]["norm"] is rows[broken]["largest"] is rows[broken]["effective_rank"] is None
    for name, (down, up) in pairs.items():
        if name != broken:
            singular = np.linalg.svd(2 * up @ down, compute_uv=False)[:4]
            shares = singular[singular > 1e-9] / singular.sum()
            assert rows[name]["rank"] == 4
            assert rows[name]["norm"] == pytest.approx(np.linalg.norm(singular), rel=1e-5)
            assert rows[name]["largest"] == pytest.approx(singular[0], rel=1e-5)
            assert rows[name]["effective_rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-2)
    assert rows[collapsed]["effective_rank"] == pytest.approx(1, abs=0.01)
    assert [(one["module"], one["kind"], one["population"], one["of"]) for one in file["outliers"]] == [
        (huge, "q_proj", 5, "modules")
    ]
    assert file["outliers"][0]["times"] > 50
    assert (file["spectrum"][0], len(file["spectrum"])) == (1, 4)


def test_outliers_are_measured_against_the_public_adapters_of_their_base(ask, cast, repository, pairs, monkeypatch):
    """All modules of this one are alike; neither private nor gated ones count, nor those of another base or method."""
    loud = {name: (20 * down, up) for name, (down, up) in pairs.items()}
    named = {"r": 4, "lora_alpha": 8, "base_model_name_or_path": "acme/tiny", "peft_type": "LORA"}
    measured(cast, repository, tensors_of(loud), **named)
    assert weights_of(ask(), "alice/reviews")["files"][0]["outliers"] == []
    monkeypatch.setattr(passports, "MIN_ADAPTERS", 4)
    for number in range(3):
        factor = (1, 1.1, 0.9)[number]
        tensors = tensors_of({name: (factor * down, up) for name, (down, up) in pairs.items()})
        measured(cast, cast.repository(f"bob/peer-{number}", by="bob"), tensors, **named)
    for name in ("private", "gated", "elsewhere"):
        made = cast.repository(f"bob/{name}", by="bob", private=name == "private")
        base = {"base_model_name_or_path": "acme/other"} if name == "elsewhere" else {}
        measured(cast, made, tensors_of(loud), **named | base)
        Repository.objects.filter(pk=made.pk).update(gated="manual" if name == "gated" else "")
    assert passports.compute_populations() == 1
    assert passports.compute_populations() == 0, "it is fresh"
    row = NormPopulation.objects.get()
    norms = sorted(2 * np.linalg.norm(up @ down) for name, (down, up) in pairs.items() if name.endswith("v_proj"))
    assert (row.base, row.kind) == ("acme/tiny", "lora")
    assert row.medians["v_proj"] == [pytest.approx(1.05 * norms[2], rel=1e-5), 4]
    [file] = weights_of(ask(), "alice/reviews")["files"]
    assert {(one["population"], one["of"]) for one in file["outliers"]} == {(4, "adapters")}
    assert len(file["outliers"]) == len(NAMES)
    assert file["outliers"][0]["times"] > 15
    page = ask().get("/alice/reviews/verdict/main").content.decode()
    assert "in 4 public adapters for this base" in " ".join(page.split())
    monkeypatch.undo()
    passports.compute_populations()
    assert not NormPopulation.objects.exists(), "too few are left"


def test_near_weights_are_found_although_no_key_is_theirs(random):
    """Those of a cosine of 0.9, of which every other shares none of its keys."""
    own = random.normal(size=(200, 512))
    moved = 0.9 * own + 0.19**0.5 * random.normal(size=own.shape)
    pairs = [
        [bytes(np.rint(40 * one.clip(-3, 3)).astype("i1")) for one in both] for both in zip(own, moved, strict=True)
    ]
    shared = [bool({*passport.bands_of(one)} & {*passport.bands_of(two)}) for one, two in pairs]
    probed = [bool({*passport.bands_of(one)} & {*passport.probes_of(two)}) for one, two in pairs]
    assert sum(shared) < 140 < 190 < sum(probed)
    assert all({*passport.bands_of(one)} <= {*passport.probes_of(one)} for one, _ in pairs)
    assert (passport.probes_of(b""), passport.cosines(b"", [b"", pairs[0][0]])) == ([], [0, 0])


def test_weights_without_a_config_have_no_scale(ask, cast, repository, pairs):
    alone = {"images/lora.safetensors": adapter_files(tensors_of(pairs))["adapter_model.safetensors"]}
    pushed(cast, repository, title="alone", files=alone)
    pushed_files.digest_files()
    [file] = [file for file in weights_of(ask(), "alice/reviews")["files"] if file["path"].startswith("images/")]
    norms = {row["module"]: row["norm"] for row in file["modules"]}
    assert norms == {name: pytest.approx(np.linalg.norm(up @ down), rel=1e-5) for name, (down, up) in pairs.items()}


def test_the_same_weights_in_disguise_are_told_to_who_may_see_them(ask, cast, repository, pairs, random):
    measured(cast, repository, tensors_of(pairs), r=4)
    copy, near, stranger, private = (
        cast.repository(f"bob/{name}", by="bob", private=name == "private")
        for name in ("copy", "near", "stranger", "private")
    )
    measured(cast, repository, tensors_of(pairs), r=4, lora_alpha=1)  # the same repository is no relative of its own
    measured(cast, copy, tensors_of(disguised(pairs, random)), "BF16", r=4)
    measured(cast, private, tensors_of(pairs), r=4)
    moved = {name: (down + 0.25 * random.normal(size=down.shape), up) for name, (down, up) in pairs.items()}
    measured(cast, near, tensors_of(moved), r=4)
    other = {name: (random.normal(size=(4, 40)), random.normal(size=(24, 4))) for name in pairs}
    measured(cast, stranger, tensors_of(other), r=4)

    def relatives(who, name="alice/reviews"):
        [file] = weights_of(ask(who), name)["files"]
        return {one["adapter"]: (one["relation"], one["cosine"]) for one in file["relatives"]}

    seen = relatives("anonymous")
    assert {name: relation for name, (relation, _) in seen.items()} == {"bob/copy": "copy", "bob/near": "near"}
    assert seen["bob/copy"][1] > 0.999 > 0.98 > seen["bob/near"][1] > 0.9
    assert relatives("bob").keys() == {*seen, "bob/private"}
    assert relatives("anonymous", "bob/stranger") == {}
    assert "alice/reviews" in relatives("anonymous", "bob/copy")
    page = ask().get("/bob/copy/verdict/main").content.decode()
    assert 'href="/alice/reviews"' in page
    assert "the same weights" in page
    assert "bob/private" not in page
    weights_of(ask(), "bob/private", status=404)


def test_relatives_say_of_gated_weights_and_of_deleted_ones_no_more_than_anybody_may_know(
    ask, cast, repository, pairs, random, monkeypatch
):
    """Candidates that the caller may not see, or of the same repository, take no place of those that they may see."""
    measured(cast, repository, tensors_of(pairs), r=4)
    gated = cast.repository("bob/gated", by="bob")
    moved = {name: (down + 0.25 * random.normal(size=down.shape), up) for name, (down, up) in pairs.items()}
    measured(cast, gated, tensors_of(moved), r=4)
    Repository.objects.filter(pk=gated.pk).update(gated="manual")
    for name in ("hidden", "reviews"):
        private = cast.repository("bob/hidden", by="bob", private=True) if name == "hidden" else repository
        for number in range(2):
            measured(cast, private, tensors_of(disguised(pairs, random)), ("F16", "BF16")[number], r=4)
    monkeypatch.setattr(passports, "MAX_CANDIDATES", 1)

    def relatives(who):
        return {one["adapter"]: one for one in weights_of(ask(who), "alice/reviews")["files"][0]["relatives"]}

    assert relatives("anonymous").keys() == {"bob/gated"}
    assert (relatives("anonymous")["bob/gated"]["cosine"], relatives("bob").keys()) == (0.9, {"bob/hidden"})
    monkeypatch.undo()
    assert 0.9 < relatives("bob")["bob/gated"]["cosine"] < 0.98
    Repository.objects.filter(pk=gated.pk).update(binned_at=timezone.now())
    assert "bob/gated" not in relatives("bob")
    Repository.with_binned.filter(pk=gated.pk).delete()
    kept = WeightPassport.objects.count(), TensorDigest.objects.count()
    garbage.sweep(-1)
    assert (WeightPassport.objects.count() + 1, TensorDigest.objects.count() + 1) == kept


def test_a_file_that_the_store_has_lost_is_read_five_times_and_not_for_ever(ask, cast, repository, pairs, monkeypatch):
    pushed_files.digest_files()
    pushed(cast, repository, title="weights", files=adapter_files(tensors_of(pairs), r=4))
    rows = TensorDigest.objects.filter(sha256__isnull=True)
    rows = TensorDigest.objects.filter(file=rows.get().file)
    with monkeypatch.context() as outage:

        def fail(*_):
            raise StoreUnavailable("The store does not answer.")

        outage.setattr(facts.BlobFile, "read", fail)
        outage.setattr(type(store()), "check", fail)
        pushed_files.digest_files()
    store().delete(Keys.blob(rows.get().file))
    attempts = []
    for _ in range(tensor_digests.MAX_ATTEMPTS + 1):
        rows.filter(sha256__isnull=True).update(free_at=timezone.now())
        pushed_files.digest_files()
        attempts.append(rows.get().attempts)
    assert attempts == [1, 2, 3, 4, 5, 6], "the sixth claim gives it up"
    assert (rows.get().sha256, tensor_digests.claim()) == ("", None)
    assert weights_of(ask(), "alice/reviews")["files"] == []


def test_what_is_no_pair_of_factors_has_a_fingerprint_too_and_what_is_zero_has_none(ask, cast, repository, random):
    scales = {f"layers.{layer}.ia3_l": random.normal(size=(700,)) for layer in range(3)}
    measured(cast, repository, scales)
    copy = cast.repository("bob/ia3", by="bob")
    measured(cast, copy, scales, "BF16")
    [file] = weights_of(ask(), "alice/reviews")["files"]
    assert [(one["adapter"], one["relation"]) for one in file["relatives"]] == [("bob/ia3", "copy")]
    empty = cast.repository("bob/zero", by="bob")
    measured(cast, empty, lora(NAMES[0], np.ones((4, 6)), np.zeros((5, 4))))
    [file] = weights_of(ask(), "bob/zero")["files"]
    assert (file["modules"][0]["norm"], file["spectrum"], file["relatives"]) == (0, [], [])
    row = WeightPassport.objects.get(pk=file["sha256"])
    assert bytes(row.fingerprint) == b""
    assert not FingerprintBand.objects.filter(passport=row).exists()


def test_ranks_that_would_take_minutes_are_not_measured(ask, cast, repository):
    """Every pair of a rank makes two eigenvalue problems of that size, in a file of a few bytes for each."""
    large = {name: (np.zeros((2500, 2)), np.zeros((2, 2500))) for name in NAMES}
    measured(cast, repository, tensors_of(large), r=2500)
    assert weights_of(ask(), "alice/reviews")["files"] == []
    assert not TensorDigest.objects.filter(sha256__isnull=True).exists()
    endless = {NAMES[0]: (np.zeros((5000, 1)), np.zeros((1, 5000)))}  # read as two plain tensors
    measured(cast, repository, tensors_of(endless), r=5000)
    [file] = weights_of(ask(), "alice/reviews")["files"]
    assert [one["rank"] for one in file["modules"]] == [0, 0]


def test_files_made_to_share_a_key_do_not_hide_a_copy(ask, cast, repository, pairs, random, monkeypatch):
    measured(cast, repository, tensors_of(pairs), r=4)
    copy = cast.repository("bob/copy", by="bob")
    measured(cast, copy, tensors_of(disguised(pairs, random)), "BF16", r=4)
    key = bands_of(bytes(WeightPassport.objects.exclude(fingerprint=b"")[0].fingerprint))[0]
    for number in range(3):
        columns = {"modules": [], "spectrum": [], "fingerprint": b"\x01" * 512}
        noise = WeightPassport.objects.create(file=f"{number}" * 64, **columns)
        FingerprintBand.objects.create(passport=noise, key=key)
    monkeypatch.setattr(passports, "MAX_CANDIDATES", 2)
    [file] = weights_of(ask(), "alice/reviews")["files"]
    assert [one["adapter"] for one in file["relatives"]] == ["bob/copy"]
    monkeypatch.setattr("features.weights.rest.MAX_FILES", 0)
    assert weights_of(ask(), "alice/reviews")["files"] == []


def test_a_file_that_is_no_safetensors_file_has_no_passport(ask, cast, repository):
    raw = adapter_files(lora(NAMES[0], np.ones((4, 6)), np.ones((5, 4))))
    raw["adapter_model.safetensors"] = raw["adapter_model.safetensors"][:-8]
    pushed(cast, repository, title="cut", files=raw)
    pushed_files.digest_files()
    assert weights_of(ask(), "alice/reviews")["files"] == []
    assert not TensorDigest.objects.filter(sha256__isnull=True).exists()


def test_patterns_for_scales_share_one_budget_whatever_the_number_of_modules():
    usual = Scales(
        {"lora_alpha": 16, "alpha_pattern": {"^layers.0.q_proj": 32, r"layers\.\d+\.o_proj": 2, "v_proj": "x"}}
    )
    modules = {"base_model.model.layers.0.q_proj": 8, "model.layers.3.o_proj": 0.5, "v_proj": 4, "layers.1.q_proj": 4}
    assert {module: usual.of(module, 4) for module in modules} == modules
    assert usual.of("head", 0) == 1
    costly = Scales({"lora_alpha": 16, "alpha_pattern": {"(.?){400}" + "x" * number: 1 for number in range(1, 200)}})
    assert {costly.of(f"{'a' * 200}{number}", 4) for number in range(2000)} == {4}  # else it would take hours
    assert Scales({"alpha_pattern": {f"(.?){number}": 1 for number in range(300)}}).of("q_proj", 4) == 2


def header_of(shapes):
    return Header({name: TensorInfo("BF16", shape, 0, 2 * int(np.prod(shape))) for name, shape in shapes.items()}, {})


def test_factors_of_absurd_shapes_take_no_memory_and_no_time():
    bomb = header_of({"q.lora_A.weight": (5000, 1), "q.lora_B.weight": (1, 5000)})
    assert factors.pairs_of(bomb.tensors) == {}
    many = {f"{number}.lora_{side}": (1024, 1)[:: 1 if side == "A" else -1] for number in range(200) for side in "AB"}
    assert passport.cost(header_of(many)) == 200 * 1024**3 > passports.MAX_COST
    wide = {f"{number}.lora_{side}": (128, 8192)[:: 1 if side == "A" else -1] for number in range(560) for side in "AB"}
    assert passport.cost(header_of(wide)) < passports.MAX_COST
    kept = sketches._kept_signs.cache_info().currsize
    sketches.of_values(np.zeros(1 << 19, "<f4"))
    assert sketches._kept_signs.cache_info().currsize == kept


def test_a_file_whose_weights_cannot_be_measured_gets_its_digest(ask, cast, repository, pairs, monkeypatch):
    def fail(*_):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(sketches, "singular_values", fail)
    measured(cast, repository, tensors_of(pairs), r=4)
    assert not TensorDigest.objects.filter(sha256__isnull=True).exists()
    assert weights_of(ask(), "alice/reviews")["files"] == []
