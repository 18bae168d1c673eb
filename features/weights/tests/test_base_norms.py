"""The share of the base's norm that modules and layers change, by norms that a worker measures once per base."""

import json

import numpy as np
import pytest
from django.utils import timezone

from dovetail.adapters.shapes import base_norms as library
from dovetail.adapters.shapes.base_norms import BaseNorms as Norms
from dovetail.adapters.shapes.passport import Module
from features.weights import base_norms, jobs
from features.weights.models import BaseNorms
from features.weights.tests.test_rest import weights_of
from registry.models import Base
from tests.api.conftest import BASE, lora, measured, safetensors
from workers import base_cache

Q, K, TURNED, NEW = (f"base_model.model.h.{name}" for name in ("0.attn.q", "1.attn.k", "1.attn.turned", "1.attn.new"))


@pytest.fixture
def random():
    return np.random.default_rng(3)


@pytest.fixture
def shelf(settings, tmp_path):
    settings.SHELF = str(tmp_path / "shelf")

    def add(tensors, dtype="F32"):
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
        raw = tensors if isinstance(tensors, bytes) else safetensors(tensors, dtype)
        (folder / "model.safetensors").write_bytes(raw)
        return base_cache.add_folder(BASE, folder, source="path", tell=lambda _: None)

    return add


def test_shares_are_the_norms_of_the_changes_by_those_of_the_weights(ask, cast, repository, random, shelf):
    changes = {name: (random.normal(size=(4, 40)), random.normal(size=(24, 4))) for name in (Q, K, TURNED, NEW)}
    tensors = {key: value for name, pair in changes.items() for key, value in lora(name, *pair).items()}
    measured(cast, repository, tensors | {"head": np.ones((2, 2))}, r=4, lora_alpha=8)
    [file] = weights_of(ask(), "alice/reviews")["files"]
    assert {row["reason"] for row in file["modules"]} == {base_norms.NO_BASE} == {file["base"]["reason"]}

    bases = {f"transformer.h.{name}.weight": np.round(random.normal(size=shape), 1)
             for name, shape in (("0.attn.q", (24, 40)), ("1.attn.k", (24, 40)), ("1.attn.turned", (40, 24)),
                                 ("1.attn.new", (24, 41)), ("1.attn.ln", (40,)))}  # fmt: skip
    base = shelf(bases)
    [file] = weights_of(ask(), "alice/reviews")["files"]
    assert file["base"] == {"id": BASE, "sha256": base.sha256, "reason": base_norms.NOT_YET}
    assert [row["share"] for row in file["modules"]] == [None] * 5
    assert (jobs.measure_missing_norms(), jobs.measure_missing_norms()) == (1, 0)

    [file] = weights_of(ask(), "alice/reviews")["files"]
    rows, squares = {row["module"]: row for row in file["modules"]}, {}
    for name in (Q, K, TURNED):
        down, up = changes[name]
        norms = np.linalg.norm(2 * up @ down), np.linalg.norm(bases[f"transformer.{name[17:]}.weight"])
        assert rows[name]["base_norm"] == pytest.approx(norms[1], rel=1e-5)
        assert rows[name]["share"] == pytest.approx(norms[0] / norms[1], rel=1e-4)
        squares.setdefault(name[17:20], []).append(np.square(norms))
    assert (rows[NEW]["share"], rows[NEW]["reason"]) == (None, library.NO_TENSOR)
    assert (rows["head"]["share"], rows["head"]["reason"]) == (None, library.NO_PAIR)
    layers = {row["layer"]: row["share"] for row in file["layers"]}
    sums = {layer: np.sum(values, axis=0) for layer, values in squares.items()}
    assert layers == {layer: pytest.approx((norm / of) ** 0.5, rel=1e-4) for layer, (norm, of) in sums.items()}
    page = ask().get("/alice/reviews/verdict/main").content.decode()
    assert "as a share of the norm of the weights" in page
    assert f": {100 * max(layers.values()):,.0f} % of its norm." in page


def _failing(*_: object) -> float:
    raise OSError("Input/output error")


def test_a_base_that_cannot_be_read_says_so_and_is_not_read_again(ask, cast, repository, random, shelf, monkeypatch):
    measured(cast, repository, lora(Q, random.normal(size=(4, 40)), random.normal(size=(24, 4))), r=4)
    shelf(b"these are no weights at all")
    assert (jobs.measure_missing_norms(), base_norms.unmeasured()) == (0, [])
    assert (
        "model.safetensors of the base cannot be read"
        in weights_of(ask(), "alice/reviews")["files"][0]["base"]["reason"]
    )
    base = shelf({"h.0.attn.q.weight": np.full((24, 40), np.inf)})
    monkeypatch.setattr(jobs, "MAX_BYTES", 10)
    assert (jobs.measure_missing_norms(), base_norms.unmeasured()) == (0, [])
    assert "up to 10 are measured" in weights_of(ask(), "alice/reviews")["files"][0]["base"]["reason"]
    monkeypatch.undo()
    BaseNorms.objects.all().delete()
    monkeypatch.setattr(library, "_norm", _failing)
    assert (jobs.measure_missing_norms(), base_norms.unmeasured()) == (0, [base]), "a disk may recover"
    BaseNorms.objects.all().delete()
    monkeypatch.setattr(library, "_norm", lambda *_: 1 / 0)  # as a worker that ends in the middle
    for _ in range(base_norms.MAX_ATTEMPTS):
        with pytest.raises(ZeroDivisionError):
            jobs.measure_missing_norms()
        attempts = BaseNorms.objects.get().attempts
        assert (base_norms.unmeasured(), jobs.measure_norms(base)) == ([], False), "another worker has it"
        assert BaseNorms.objects.get().attempts == attempts
        BaseNorms.objects.update(free_at=timezone.now())  # the lease has ended
    assert (jobs.measure_missing_norms(), base_norms.unmeasured()) == (0, [])
    monkeypatch.undo()
    BaseNorms.objects.all().delete()
    assert jobs.measure_norms(Base.objects.get(pk=base.pk))
    [row] = weights_of(ask(), "alice/reviews")["files"][0]["modules"]
    assert (row["share"], row["base_norm"], row["reason"]) == (None, None, library.NOT_FINITE)


@pytest.mark.parametrize(
    ("module", "tensor"),
    [
        ("base_model.model.model.layers.3.mlp.up", "model.layers.3.mlp.up.weight"),
        ("base_model.model.bert.encoder.layer.3.q", "encoder.layer.3.q.weight"),
        ("base_model.model.encoder.layer.3.q", "bert.encoder.layer.3.q.weight"),
        ("base_model.model.model.language_model.layers.3.q", "language_model.model.layers.3.q.weight"),
        ("base_model.model.lm_head", "lm_head.weight"),
    ],
)
def test_modules_are_found_under_the_names_of_wrappers(module, tensor):
    others = {"vision_tower.encoder.layers.3.q.weight": (7.0, (24, 40)), "decoder.layers.3.q.weight": (7.0, (24, 40))}
    norms = Norms({**others, tensor: (2.0, (24, 40))})
    assert norms.share(Module(module, 4, 1.0, shape=(24, 40))).value == 0.5


def test_a_module_that_several_weights_may_be_is_not_guessed():
    norms = Norms({"a.layers.3.q.weight": (7.0, (24, 40)), "b.layers.3.q.weight": (2.0, (24, 40))})
    assert norms.share(Module("layers.3.q", 4, 1.0, shape=(24, 40))).reason == library.NO_TENSOR
    assert norms.share(Module("encoder.layers.3.q", 4, 1.0, shape=(24, 40))).value is None
