"""Compositions of the adapters library on engine e4: every block runs; spoilt ones fail by exactly their own check."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dovetail.adapters import describe, files_in
from tests import adapters
from tests.adapters import pack, unpack
from tests.engine.conftest import python_of
from tests.engine.test_saboteurs import failures

SETUP, WEIGHTS, CONFIG = "adapter_setup.json", "adapter.safetensors", adapters.CONFIG
FUSION, FUSION_CONFIG = "model_adapter_fusion.safetensors", "adapter_fusion_config.json"
MEASURED = ("stack", "fuse", "stack_fuse", "average", "loras")
RUN = ("parallel", "stack_parallel", "split", "batch_split", "fusion")


@pytest.fixture(scope="session")
def composed(bases, tmp_path_factory):
    """A folder with a composition of each block."""
    folder = tmp_path_factory.mktemp("composed")
    script = Path(__file__).parent / "make_compositions.py"
    subprocess.run([python_of("e4"), script, bases / "bert", folder], check=True, capture_output=True)
    return folder


@pytest.mark.merge
@pytest.mark.parametrize("name", [*MEASURED, *RUN])
def test_a_composition_of_every_block_is_loaded_and_run_as_a_whole(name, bert4, composed):
    verdict = bert4.validate(composed / name)
    assert failures(verdict) == [], verdict["checks"]
    kind = "fusion" if name == "fusion" else "composition"
    assert (verdict["state"], verdict["format"], verdict["kind"]) == ("passed", "adapters", kind)
    if name in MEASURED:
        measured = verdict["evals"][0]
        assert (verdict["depth"], measured["adapter"], measured["base"]) == ("evaluated", 1.0, 0.5)
    else:
        assert (verdict["depth"], verdict["evals"]) == ("run", [])


def test_every_tensor_of_every_part_is_accounted_for(bert4, composed):
    verdict = bert4.validate(composed / "stack_fuse")
    said = next(check["message"] for check in verdict["checks"] if check["id"] == "fit.missing")
    places = ("lang", "one", "two", "one,two", "judge")
    files = [path for place in places for path in (composed / "stack_fuse" / place).glob("*.safetensors")]
    wanted = sum(len(unpack(path.read_bytes())) for path in files)
    assert said.startswith(f"The file has all {wanted} tensors"), said


def test_a_fusion_without_its_adapters_says_which_are_missing(bert4, composed):
    verdict = bert4.validate(composed / "bare_fusion")
    assert (verdict["state"], verdict["depth"], failures(verdict)) == ("failed", "static", ["file.missing"])
    told = next(check for check in verdict["checks"] if check["id"] == "file.missing")
    assert told["message"].startswith("The fusion one,two combines the adapters one, two, and one, two are not")
    assert {f"one/{CONFIG}", f"two/{WEIGHTS}"} <= set(told["where"]["missing"])


@pytest.mark.parametrize("name", ["stack_fuse", "fusion"])
def test_what_its_files_say_of_it(name, composed):
    found = describe(files_in(composed / name))
    assert found is not None
    kind = "fusion" if name == "fusion" else "composition"
    assert (found.format, found.kind, found.base) == ("adapters", kind, "tiny/bert")


# --- saboteurs -------------------------------------------------------------------------------------------------------
def setup(**changes):
    def spoil(folder):
        said = json.loads((folder / SETUP).read_text())
        (folder / SETUP).write_text(json.dumps(said | changes))

    return spoil


def block(kind, *children, **kwargs):
    parts = [child if isinstance(child, dict) else {"type": "single", "children": [child]} for child in children]
    return {"type": kind, "children": parts, **({"kwargs": kwargs} if kwargs else {})}


def composed_of(kind, *children, **kwargs):
    return setup(adapter_setup=block(kind, *children, **kwargs))


def config(path, **changes):
    def spoil(folder):
        said = json.loads((folder / path).read_text())
        (folder / path).write_text(json.dumps(said | changes))

    return spoil


def tensors(path, change):
    def spoil(folder):
        found = unpack((folder / path).read_bytes())
        (folder / path).write_bytes(pack(change(found)))

    return spoil


def each_value(change, end):
    def changed(found):
        return {n: (d, s, change(raw) if n.endswith(end) else raw) for n, (d, s, raw) in found.items()}

    return changed


def nan_in(path, end):
    return tensors(path, each_value(lambda raw: NAN + raw[4:], end))


def zero_in(path, end):
    return tensors(path, each_value(lambda raw: bytes(len(raw)), end))


def renamed(path, old, new):
    return tensors(path, lambda found: {name.replace(old, new): entry for name, entry in found.items()})


def twice(end):
    def wider(found):
        return {
            n: (d, (s[0] * 2, *s[1:]), raw * 2) if n.endswith(end) else (d, s, raw) for n, (d, s, raw) in found.items()
        }

    return wider


def cut(path):
    return lambda folder: (folder / path).write_bytes((folder / path).read_bytes()[:-9])


def without(end):
    def change(found):
        left_out = next(name for name in found if name.endswith(end))
        return {name: entry for name, entry in found.items() if name != left_out}

    return change


def with_one(name, shape):
    return lambda found: {**found, name: ("F32", shape, b"\x00\x00\x80\x3f" * shape[0] * (shape[1:] or (1,))[0])}


def idle_task(folder):
    """The second adapter of the stack adds nothing, by a matrix that is nearly zero and not quite."""
    tiny = each_value(lambda raw: b"\x00\x00\x80\x00" * (len(raw) // 4), "adapter_up.weight")
    tensors(f"task/{WEIGHTS}", tiny)(folder)
    tensors(f"task/{WEIGHTS}", each_value(lambda raw: bytes(len(raw)), "adapter_up.bias"))(folder)


def removed(path):
    return lambda folder: shutil.rmtree(folder / path) if (folder / path).is_dir() else (folder / path).unlink()


LAYER = "bert.encoder.layer.0.output"
VALUE, NAN = ".value.weight", b"\x00\x00\xc0\x7f"
SABOTEURS = {
    "a path for a name": ("config.invalid", "stack_fuse", composed_of("Stack", "../lang", "one")),
    "a slash in a name": ("config.invalid", "stack_fuse", composed_of("Stack", "a/b", "one")),
    "an absolute path": ("config.invalid", "stack_fuse", composed_of("Stack", "/etc", "one")),
    "a path for a head": ("config.invalid", "stack_fuse", setup(head_setup="../judge")),
    "a class to build": ("config.invalid", "stack_fuse", composed_of("AdapterCompositionBlock", "lang")),
    "tasks that rows would have to name": ("config.invalid", "stack_fuse", composed_of("MultiTask", "one", "two")),
    "no children": ("config.invalid", "stack_fuse", setup(adapter_setup={"type": "Stack", "children": []})),
    "a set-up of forty adapters": ("config.invalid", "stack_fuse", composed_of("Stack", *[f"a{n}" for n in range(40)])),
    "a stack in a stack": ("config.invalid", "stack", composed_of("Stack", "lang", block("Stack", "task"))),
    "lengths of nothing": ("config.invalid", "split", composed_of("Split", "one", "two", splits=[0, 8])),
    "a million rows": (
        "config.invalid",
        "batch_split",
        composed_of("BatchSplit", "one", "two", batch_sizes=[1, 10**6]),
    ),
    "weights that add up to nothing": (
        "config.invalid",
        "average",
        composed_of("Average", "one", "two", weights=[1, -1]),
    ),
    "weights for another number of adapters": (
        "config.invalid",
        "average",
        composed_of("Average", "one", "two", weights=[1]),
    ),
    "a set-up that is no JSON": ("config.invalid", "stack", lambda f: (f / SETUP).write_bytes(b"{")),
    "an adapter of another name": ("config.invalid", "stack", config(f"task/{CONFIG}", name="other")),
    "a fusion of another name": ("config.invalid", "fuse", config(f"one,two/{FUSION_CONFIG}", name="two,one")),
    "a fusion by nonsense": (
        "config.invalid",
        "fuse",
        config(f"one,two/{FUSION_CONFIG}", config={"query": "os.system"}),
    ),
    "a fusion by a file": ("config.invalid", "fuse", config(f"one,two/{FUSION_CONFIG}", config="/etc/passwd")),
    "a table of nonsense in one adapter": ("config.invalid", "stack", config(f"lang/{CONFIG}", name="../x")),
    "an adapter that is not there": ("file.missing", "stack", removed("task")),
    "an adapter without weights": ("file.missing", "stack", removed(f"task/{WEIGHTS}")),
    "a fusion that is not there": ("file.missing", "fuse", removed("one,two")),
    "a fusion without weights": ("file.missing", "fuse", removed(f"one,two/{FUSION}")),
    "an adapter whose head has no weights": (
        "file.missing",
        "stack",
        lambda folder: (folder / "task/model_head.safetensors").unlink(),
    ),
    "a head that is not there": ("file.missing", "fuse", removed("judge")),
    "an unknown method in one adapter": (
        "config.kind",
        "stack",
        config(f"task/{CONFIG}", config={"architecture": "x"}),
    ),
    "a fusion cut off": ("file.header", "fuse", cut(f"one,two/{FUSION}")),
    "NaN in one adapter": ("tensors.not-finite", "stack", nan_in(f"task/{WEIGHTS}", "up.weight")),
    "NaN in a fusion": ("tensors.not-finite", "fuse", nan_in(f"one,two/{FUSION}", VALUE)),
    "NaN in a head of its own": ("tensors.not-finite", "fuse", nan_in("judge/model_head.safetensors", "weight")),
    "tensors of another fusion": ("tensors.unused", "fuse", renamed(f"one,two/{FUSION}", "one,two", "one,six")),
    "tensors of another adapter": ("tensors.unused", "stack", renamed(f"task/{WEIGHTS}", ".task.", ".lang.")),
    "a weight of the base in a fusion": (
        "tensors.replaces-base",
        "fuse",
        tensors(f"one,two/{FUSION}", with_one(f"{LAYER}.dense.bias", (32,))),
    ),
    "a weight of the base in an adapter": (
        "tensors.replaces-base",
        "stack",
        tensors(f"lang/{WEIGHTS}", with_one(f"{LAYER}.dense.bias", (32,))),
    ),
    "zero everywhere in one adapter": ("tensors.all-zero", "stack", zero_in(f"task/{WEIGHTS}", "up.weight")),
    "a fusion that lets nothing through": ("tensors.all-zero", "fuse", zero_in(f"one,two/{FUSION}", VALUE)),
    "another base for one adapter": ("base.mismatch", "stack", config(f"task/{CONFIG}", model_name="tiny/other")),
    "another architecture for one adapter": ("base.mismatch", "stack", config(f"task/{CONFIG}", model_type="roberta")),
    "a local path in one adapter": ("base.local-path", "stack", config(f"task/{CONFIG}", model_name="/home/me/bert")),
    "a tensor of an adapter left out": ("fit.missing", "stack", tensors(f"task/{WEIGHTS}", without("up.weight"))),
    "a tensor of a fusion left out": ("fit.missing", "fuse", tensors(f"one,two/{FUSION}", without("query.bias"))),
    "a tensor too many in a fusion": (
        "fit.unexpected",
        "fuse",
        tensors(f"one,two/{FUSION}", with_one(f"{LAYER}.adapter_fusion_layer.one,two.mood.bias", (32,))),
    ),
    "a fusion for a wider base": ("fit.shape", "fuse", tensors(f"one,two/{FUSION}", twice("query.bias"))),
    "a fusion without the matrix its config wants": (
        "fit.missing",
        "fuse",
        tensors(f"one,two/{FUSION}", lambda found: {n: e for n, e in found.items() if not n.endswith(VALUE)}),
    ),
    "an adapter that does nothing": ("run.no-effect", "stack", idle_task),
    "texts longer than the base reads": ("load.error", "split", composed_of("Split", "one", "two", splits=[400, 400])),
    "a split by LoRAs, which the library cannot do": (
        "load.error",
        "loras",
        composed_of("Split", "low", "task", splits=[3, 5]),
    ),
    "labels the wrong way round": (
        "eval.worse-than-base",
        "fuse",
        lambda folder: _turn(folder / "judge/head_config.json"),
    ),
    "a hostile pickle in a folder": (
        "file.pickle",
        "stack",
        lambda f: (f / "task/pytorch_adapter.bin").write_bytes(adapters.hostile_pickle()),
    ),
}


def _turn(path):
    said = json.loads(path.read_text())
    said["config"]["label2id"] = {"glad": 0, "sad": 1}
    path.write_text(json.dumps(said))


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_saboteur_of_a_composition_fails_with_exactly_its_own_check(name, bert4, composed, tmp_path):
    expected, good, spoil = SABOTEURS[name]
    shutil.copytree(composed / good, tmp_path / "spoilt")
    spoil(tmp_path / "spoilt")
    verdict = bert4.validate(tmp_path / "spoilt")
    assert failures(verdict) == [expected], verdict["checks"]
    refusal = next(check for check in verdict["checks"] if check["outcome"] == "failed")
    assert refusal["message"].endswith("."), refusal
    assert refusal["fix"].endswith("."), refusal


def test_a_single_adapter_passes_after_all_of_them(bert4, composed):
    assert bert4.validate(composed / "stack")["state"] == "passed"
