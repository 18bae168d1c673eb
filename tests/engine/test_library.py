"""Adapters of the adapters library on engine e4: trained ones pass, spoilt ones fail by exactly their own check."""

import json
import shutil

import pytest

from dovetail.adapters import describe, files_in
from tests import adapters
from tests.adapters import pack, unpack
from tests.engine.test_saboteurs import failures

WEIGHTS, HEAD, HEAD_CONFIG = "adapter.safetensors", "model_head.safetensors", "head_config.json"
CONFIG = adapters.CONFIG
KINDS = {
    "seq_bn": "bottleneck",
    "double_seq_bn": "bottleneck",
    "par_bn": "bottleneck",
    "scaled_par_bn": "bottleneck",
    "seq_bn_inv": "language",
    "double_seq_bn_inv": "language",
    "compacter": "compacter",
    "compacter_plus": "compacter",
    "lora": "lora",
    "dora": "lora",
    "vera": "vera",
    "dvora": "vera",
    "mtl_lora": "mtl-lora",
    "ia3": "ia3",
    "loreft": "reft",
    "noreft": "reft",
    "direft": "reft",
    "prompt": "prompt-tuning",
    "prefix": "prefix-tuning",
    "prefix_flat": "prefix-tuning",
    "mam": "mam",
    "unipelt": "unipelt",
}


@pytest.mark.parametrize("name", KINDS)
def test_a_trained_adapter_of_every_method_passes_with_its_head(name, bert4, trained):
    verdict = bert4.validate(trained / name)
    assert failures(verdict) == [], verdict["checks"]
    assert (verdict["state"], verdict["format"], verdict["kind"]) == ("passed", "adapters", KINDS[name])
    if KINDS[name] == "language":
        assert (verdict["depth"], verdict["evals"]) == ("run", [])
    else:
        # Names of labels are taken from the head: by the alphabet they would be the wrong way round, and this 0.
        measured, _ = verdict["evals"]
        assert (verdict["depth"], measured["base"]) == ("evaluated", 0.5)
        assert measured["adapter"] > 0.8


@pytest.mark.parametrize("name", ["fixed_head", "bare"])
def test_an_adapter_made_on_another_class_of_the_same_model_passes(name, bert4, trained):
    verdict = bert4.validate(trained / name)
    assert failures(verdict) == [], verdict["checks"]
    assert (verdict["state"], verdict["depth"], verdict["kind"]) == ("passed", "run", "bottleneck")
    fitted = next(check["message"] for check in verdict["checks"] if check["id"] == "fit.missing")
    assert f"all {10 if name == 'fixed_head' else 8} tensors" in fitted, "two of them are the head's"


def test_what_its_files_say_of_it(trained):
    found = describe(files_in(trained / "lora"))
    assert found is not None
    assert (found.format, found.kind, found.base, found.rank) == ("adapters", "lora", "tiny/bert", 4)
    assert (found.task, found.also) == ("text-classification", ())
    assert found.parameters == 2 * 2 * (4 * 32 + 32 * 4)


def of_old(folder):
    """As adapter-transformers wrote it: no version, and tensors and activations by other names."""
    said = json.loads((folder / CONFIG).read_text())
    said.pop("version")
    (folder / CONFIG).write_text(json.dumps(said))
    method(non_linearity="gelu_orig")(folder)
    renamed("output.adapters.", "output.layer_text_task_adapters.")(folder)


def test_an_adapter_of_adapter_transformers_is_read_as_it_was_meant(bert4, trained, tmp_path):
    shutil.copytree(trained / "seq_bn", tmp_path / "old")
    of_old(tmp_path / "old")
    verdict = bert4.validate(tmp_path / "old")
    assert failures(verdict) == [], verdict["checks"]
    assert verdict["state"] == "passed"
    told = next(check for check in verdict["checks"] if check["id"] == "config.kind")
    assert "saved by adapter-transformers" in told["message"]


@pytest.mark.parametrize(("version", "scaled"), [("adapters.1.0.1", False), ("adapters.1.3.0", True)])
def test_a_lora_of_a_release_that_scaled_wrongly_is_scaled_as_it_was_trained(version, scaled, bert4, trained, tmp_path):
    shutil.copytree(trained / "lora", tmp_path / "lora")
    config(version=version)(tmp_path / "lora")
    verdict = bert4.validate(tmp_path / "lora")
    assert failures(verdict) == [], verdict["checks"]
    told = next(check for check in verdict["checks"] if check["id"] == "config.kind")
    assert ("whatever its alpha" in told["message"]) is not scaled


# --- saboteurs -------------------------------------------------------------------------------------------------------
def tensors(change, path=WEIGHTS):
    def spoil(folder):
        (folder / path).write_bytes(pack(change(unpack((folder / path).read_bytes()))))

    return spoil


def config(path=CONFIG, **changes):
    def spoil(folder):
        said = json.loads((folder / path).read_text())
        (folder / path).write_text(json.dumps(said | changes))

    return spoil


def method(**changes):
    def spoil(folder):
        said = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps(said | {"config": said["config"] | changes}))

    return spoil


def head(**changes):
    def spoil(folder):
        said = json.loads((folder / HEAD_CONFIG).read_text())
        (folder / HEAD_CONFIG).write_text(json.dumps(said | {"config": said["config"] | changes}))

    return spoil


def written(path, data):
    return lambda folder: (folder / path).write_bytes(data)


def first(found, end):
    return next(name for name in found if name.endswith(end))


def without(end):
    return tensors(lambda found: {name: entry for name, entry in found.items() if name != first(found, end)})


def with_one(name, shape=(32, 32)):
    values = b"\x00\x00\x80\x3f" * (shape[0] * (shape[1] if len(shape) > 1 else 1))
    return tensors(lambda found: {**found, name: ("F32", shape, values)})


def nan(path, end):
    def spoil(found):
        name = first(found, end)
        dtype, shape, raw = found[name]
        return {**found, name: (dtype, shape, b"\x00\x00\xc0\x7f" + raw[4:])}

    return tensors(spoil, path)


def zero(found):
    return {n: (d, s, bytes(len(raw)) if n.endswith("adapter_up.weight") else raw) for n, (d, s, raw) in found.items()}


def wider(found):
    return {
        n: (d, (s[0], s[1] * 2), raw * 2) if n.endswith("adapter_down.0.weight") else (d, s, raw)
        for n, (d, s, raw) in found.items()
    }


def renamed(old, new):
    return tensors(lambda found: {name.replace(old, new): entry for name, entry in found.items()})


LAYER = "bert.encoder.layer.0.output"
OWN = f"{LAYER}.adapters.a_seq_bn"
SABOTEURS = {
    "another width": ("base.mismatch", config(hidden_size=64)),
    "another architecture of equal width": ("base.mismatch", config(model_type="roberta")),
    "another base": ("base.mismatch", config(model_name="tiny/other")),
    "no base": ("base.unnamed", config(model_name=None)),
    "a local path": ("base.local-path", config(model_name="/home/me/bert")),
    "a tensor left out": ("fit.missing", without("adapter_up.weight")),
    "a tensor of the head left out": (
        "fit.missing",
        tensors(lambda found: {name: entry for name, entry in found.items() if not name.endswith(".bias")}, HEAD),
    ),
    "a wider bottleneck than the config says": ("fit.shape", method(reduction_factor=2)),
    "weights for a wider base": ("fit.shape", tensors(wider)),
    "labels that the head does not have": ("fit.shape", head(num_labels=5)),
    "a tensor too many": ("fit.unexpected", with_one(f"{OWN}.adapter_middle.weight")),
    "a layer the base does not have": ("fit.unexpected", with_one(OWN.replace(".0.", ".7.") + ".adapter_up.weight")),
    "more places than the config says": ("fit.unexpected", with_one(OWN.replace("output", "attention.output") + ".a")),
    "a weight of the base": ("tensors.replaces-base", with_one(f"{LAYER}.dense.weight", (32, 64))),
    "a weight of the base in the head": (
        "tensors.replaces-base",
        tensors(lambda found: {**found, f"{LAYER}.dense.bias": ("F32", (32,), bytes(128))}, HEAD),
    ),
    "tensors of another adapter": ("tensors.unused", renamed(".a_seq_bn.", ".another.")),
    "NaN": ("tensors.not-finite", nan(WEIGHTS, "adapter_up.weight")),
    "NaN in the head": ("tensors.not-finite", nan(HEAD, "weight")),
    "zero everywhere": ("tensors.all-zero", tensors(zero)),
    "a path for a name": ("config.invalid", config(name="../../etc/cron.d/x")),
    "a slash in the name": ("config.invalid", config(name="a/b")),
    "a path for the name of the head": ("config.invalid", config(HEAD_CONFIG, name="../x")),
    "a model known by an interface alone": ("config.kind", written("adapter_interface.json", b"{}")),
    "no word on where bottlenecks are": ("config.invalid", method(mh_adapter=None)),
    "a language adapter without its invertible part": (
        "fit.missing",
        method(inv_adapter="nice", inv_adapter_reduction_factor=2),
    ),
    "no name": ("config.invalid", config(name=None)),
    "a bottleneck wider than any": ("config.invalid", method(reduction_factor=1e-9)),
    "a table of nonsense": ("config.invalid", method(reduction_factor={"__class__": 4})),
    "an activation to import": ("config.invalid", method(non_linearity="os.system")),
    "billions of labels": ("config.invalid", head(num_labels=2_000_000_000)),
    "a config that is no JSON": ("config.invalid", written(HEAD_CONFIG, b"{")),
    "an unknown architecture": ("config.kind", method(architecture="telepathy")),
    "a union of nothing": ("config.kind", method(architecture="union", configs=[])),
    "a set-up that composes nothing": ("config.invalid", written("adapter_setup.json", b'{"adapter_setup": ["x"]}')),
    "a fusion of adapters elsewhere": (
        "file.missing",
        written("adapter_fusion_config.json", b'{"config": {}, "name": "a,b"}'),
    ),
    "a bottleneck of tables in tables": ("config.invalid", method(reduction_factor={"default": {}})),
    "a union of words": ("config.invalid", method(architecture="union", configs=["lora"])),
    "a release that is a number": ("config.invalid", config(version=1.3)),
    "a head without its weights": ("file.missing", lambda folder: (folder / HEAD).unlink()),
    "a label without a number": ("config.invalid", head(label2id={"glad": [0]})),
    "no weights": ("file.missing", lambda folder: (folder / WEIGHTS).unlink()),
    "a file cut off": ("file.header", lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-9])),
    "a head cut off": ("file.header", lambda f: (f / HEAD).write_bytes((f / HEAD).read_bytes()[:-9])),
    "a hostile pickle": ("file.pickle", written("pytorch_adapter.bin", adapters.hostile_pickle())),
    "labels the wrong way round": ("eval.worse-than-base", head(label2id={"glad": 0, "sad": 1})),
}


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_saboteur_fails_with_exactly_its_own_check(name, bert4, trained, tmp_path):
    expected, spoil = SABOTEURS[name]
    shutil.copytree(trained / "seq_bn", tmp_path / "spoilt")
    spoil(tmp_path / "spoilt")
    verdict = bert4.validate(tmp_path / "spoilt")
    assert failures(verdict) == [expected], verdict["checks"]
    assert verdict["state"] == "failed"
    refusal = next(check for check in verdict["checks"] if check["outcome"] == "failed")
    assert refusal["message"].endswith(".")
    assert refusal["fix"].endswith(".")


def test_an_honest_adapter_passes_after_all_of_them(bert4, trained):
    assert bert4.validate(trained / "seq_bn")["state"] == "passed"


def test_a_pickle_beside_the_weights_is_told_of_since_the_library_reads_it(bert4, trained, tmp_path):
    shutil.copytree(trained / "seq_bn", tmp_path / "both")
    (tmp_path / "both" / "pytorch_adapter.bin").write_bytes(adapters.tensor_pickle())
    verdict = bert4.validate(tmp_path / "both")
    assert verdict["state"] == "passed"
    told = next(check for check in verdict["checks"] if check["id"] == "file.twins-differ")
    assert (told["outcome"], f"{WEIGHTS} was validated" in told["message"]) == ("warned", True)


def test_an_engine_without_the_library_says_that_it_has_no_model_for_it(bert, trained):
    verdict = bert.validate(trained / "seq_bn")
    assert (verdict["state"], failures(verdict)) == ("failed", ["load.error"])
