"""Every method of PEFT: a good adapter passes on each engine, and a copy spoilt in one way fails with its own check."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dovetail.adapters.checks import ask, opened
from dovetail.adapters.methods import KINDS, kind_of
from dovetail.adapters.readers.folder import Base
from dovetail.adapters.shapes.fit import decode
from tests.adapters import CONFIG, WEIGHTS, openers, pack, unpack
from tests.engine.conftest import ROOT, Engine, python_of
from tests.engine.test_saboteurs import failures
from tests.specimens import METHODS

pytestmark = pytest.mark.merge

HERE = Path(__file__).parent
BASES = ("bert", "gpt2", "llama", "t5")


def run(script, *arguments):
    found = subprocess.run([str(python_of("e5")), *map(str, (script, *arguments))], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout


@pytest.fixture(scope="session")
def made(bases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    run(HERE / "make_peft.py", bases, folder)
    return folder


@pytest.fixture(scope="session")
def shapes(bases):
    said = run("-I", ROOT / "workers" / "engine" / "shapes.py", *(bases / name for name in BASES))
    return dict(zip(BASES, map(json.loads, said.splitlines()), strict=True))


@pytest.fixture(scope="session")
def engines(bases, tmp_path_factory):
    """An engine for each base and interpreter, started when first asked for."""
    started = {}

    def engine_of(name, base):
        if (name, base) not in started:
            arguments = ("--base", bases / base, "--base-id", f"tiny/{base}")
            started[name, base] = Engine(tmp_path_factory.mktemp(f"{base}-{name}"), *arguments, python=python_of(name))
        return started[name, base]

    yield engine_of
    for engine in started.values():
        engine.stop()


def base_of(folder):
    return json.loads((folder / CONFIG).read_text())["base_model_name_or_path"].removeprefix("tiny/")


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def failed(files, shapes):
    """The checks of the files that fail, with the shapes of the base at hand."""
    config = json.loads(files[CONFIG])
    name = config["base_model_name_or_path"].removeprefix("tiny/")
    found = decode(shapes[name]["tasks"][config["task_type"]])
    folder = opened(openers(files))
    folder.base = Base(f"tiny/{name}", found.for_labels(2), found.vocabulary)
    return [result.id for result in ask(folder) if result.outcome == "failed"]


@pytest.mark.parametrize("engine", ["e5", "e4"])
def test_every_method_passes(engine, made, engines, subtests):
    for name in METHODS:
        with subtests.test(name):
            verdict = engines(engine, base_of(made / name)).validate(made / name)
            assert failures(verdict) == [], verdict["checks"]
            assert (verdict["state"], verdict["depth"], verdict["kind"]) == ("passed", "run", name)


@pytest.mark.parametrize("base", ["gpt2", "llama"])
def test_a_prefix_before_labels_is_for_transformers_4_and_the_verdict_says_so(base, made, engines):
    folder = made / f"prefix-tuning-{base}-labels"
    refused = engines("e5", base).validate(folder)
    assert failures(refused) == ["load.error"]
    assert "engine e4" in next(check["fix"] for check in refused["checks"] if check["outcome"] == "failed")
    assert engines("e4", base).validate(folder)["state"] == "passed"


def test_every_variant_has_all_that_its_base_needs_and_nothing_else(made, shapes, subtests):
    for folder in sorted(made.iterdir()):
        with subtests.test(folder.name):
            assert failed(files_of(folder), shapes) == []


def test_our_clean_config_gives_the_outputs_of_the_author_s_own(made, bases):
    found = json.loads(run(HERE / "compare_peft.py", bases, made).splitlines()[-1])
    assert found.keys() >= set(METHODS)
    assert {name: difference for name, difference in found.items() if difference > 1e-6} == {}


def test_every_method_has_its_specimen_and_every_specimen_is_built(made):
    assert {kind.name for kind in KINDS} == set(METHODS)
    assert set(METHODS) <= {folder.name for folder in made.iterdir()}


def test_a_state_dict_saved_by_hand_is_judged_as_peft_loads_it(made, bases, engines, tmp_path):
    """PEFT finds it under the adapter's own name or not at all, and only then does the verdict pass, with a warning."""
    found = json.loads(run(HERE / "make_state_dicts.py", bases, made, tmp_path).splitlines()[-1])
    other = {}
    for name, difference in found.items():
        if not (tmp_path / name).exists():
            continue
        verdict = engines("e5", base_of(made / name)).validate(tmp_path / name)
        warned = [check["id"] for check in verdict["checks"] if check["outcome"] == "warned"]
        has_name = any(".default" in tensor for tensor in unpack((tmp_path / name / WEIGHTS).read_bytes()))
        is_loaded = difference is not None and difference < 1e-6
        is_passed = verdict["state"] == "passed"
        if is_passed != is_loaded or (is_passed and has_name != ("tensors.unused" in warned)):
            other[name] = (difference, failures(verdict), warned)
    # Tensors of the first two are shared by modules and named by them; a state dict does not hold SHiRA's indices.
    assert {name: row for name, row in other.items() if name not in ("frod", "tinylora", "shira")} == {}
    assert sum(difference == 0 for difference in found.values()) > 20


# --- spoilt copies ---------------------------------------------------------------------------------------------------
def kind_in(files):
    return kind_of(json.loads(files[CONFIG]))


def own(files, tensors):
    """The names of the method's own tensors, without those of a head."""
    kind = kind_in(files)
    ends = tuple(f".{parameter}" for parameter in kind.parameters)
    return [name for name in tensors if kind.is_shared(name) or (ends and name.endswith(ends))]


def change(files, work):
    tensors = unpack(files[WEIGHTS])
    return {**files, WEIGHTS: pack(work(tensors, own(files, tensors)))}


def without_one(tensors, names):
    return {name: tensor for name, tensor in tensors.items() if name != names[0]}


def with_another(tensors, names):
    """The tensors of a layer that the base does not have, or a second one of those that belong to no module."""
    more = {name.replace(".1.", ".9."): tensors[name] for name in names if ".1." in name}
    return tensors | (more or {f"{names[0]}.more": tensors[names[0]]})


def longer(tensors, names):
    """The last side of one tensor, grown by one; a rank is not touched if anything else is there."""
    name = names[0]
    dtype, shape, _ = tensors[name]
    wider = (*shape[:-1], shape[-1] + 1)
    width = {"F32": 4, "I32": 4, "I64": 8}[dtype]
    raw = np.ones(int(np.prod(wider)), "<f4").tobytes() if dtype == "F32" else bytes(int(np.prod(wider)) * width)
    return {**tensors, name: (dtype, wider, raw)}


def not_a_number(tensors, names):
    name = next(name for name in names if tensors[name][0] == "F32")
    dtype, shape, raw = tensors[name]
    return {**tensors, name: (dtype, shape, b"\x00\x00\xc0\x7f" + raw[4:])}


def zeros(tensors, names):
    return {name: (d, s, bytes(len(raw)) if name in names else raw) for name, (d, s, raw) in tensors.items()}


@pytest.mark.parametrize("name", METHODS)
def test_a_spoilt_copy_fails_with_exactly_its_own_check(name, made, shapes):
    files = files_of(made / name)
    kind = kind_in(files)
    grouped = any(len(group) > 1 for group in kind.together) and not kind.is_prompt
    found = {work.__name__: failed(change(files, work), shapes)
             for work in (without_one, with_another, longer, not_a_number, zeros)}  # fmt: skip
    assert found["not_a_number"] == ["tensors.not-finite"]
    assert found["zeros"] == ["tensors.all-zero"]
    assert found["with_another"] == (["tensors.unused"] if name == "trainable-tokens" else ["fit.unexpected"])
    assert found["longer"] in (["fit.shape"], ["config.rank"], ["tensors.pair"])
    if len(unpack(files[WEIGHTS])) == 1:
        assert found["without_one"] == ["file.header"]  # nothing is left
    elif grouped:
        assert found["without_one"] in (["tensors.pair"], ["fit.missing"])
    else:
        assert found["without_one"] == ["fit.missing"]
