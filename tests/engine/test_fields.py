"""A field of the wrong JSON type, in any config that is read, is the author's error and names the field."""

import io
import json

import pytest

from dovetail.adapters import describe
from dovetail.adapters.checks import ask, opened
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.patterns import PatternError
from dovetail.adapters.methods import EVERYWHERE, IGNORED, KINDS
from dovetail.adapters.methods.kind import PEFT_RULES
from dovetail.adapters.readers.folder import Base
from dovetail.adapters.serving import serving_of
from dovetail.adapters.shapes.base_fits import Adapter, NotComputable
from dovetail.adapters.shapes.fit import Manifest, Module, Shapes
from tests.adapters import CONFIG, TINY_BERT, WEIGHTS, config, lora, openers, pack
from tests.engine.test_foreign import mlx_config, repository
from tests.sweep import sweep

pytestmark = pytest.mark.night

VALUES = (True, -1, 8.5, "x", [8], ["x"], {}, {"a": "x"}, {"word_embeddings": 3}, [[1, 2]])
# Fields that are read from a config whether or not its method has them.
READ_ANYWAY = {
    *PEFT_RULES, *IGNORED, "adapters", "shadow_model", "tokenizer_kwargs", "tokenizer_name_or_path", "bias", "use_dora",
    "trainable_token_indices", "target_parameters", "rank_pattern", "alpha_pattern", "layers_to_transform",
    "init_lora_weights",
}  # fmt: skip
MODULES = {
    path: Module("linear", inputs, outputs, {"weight": (outputs, inputs), "bias": (outputs,)})
    for path, (outputs, inputs) in TINY_BERT.modules(("query", "key", "value", "dense"), backbone=False).items()
} | {
    "bert.embeddings.word_embeddings": Module("embedding", 96, 32, {"weight": (96, 32)}),
    "classifier": Module("linear", 32, 2, {"weight": (2, 32), "bias": (2,)}),
}
BASE = Manifest(MODULES, 32, 128, "bert.embeddings.word_embeddings")
LIBRARY = {
    "config": {"architecture": "lora", "r": 4, "alpha": 8, "attn_matrices": ["q"], "selfattn_lora": True},
    "name": "a", "model_name": "tiny/bert", "model_type": "bert", "model_class": "BertAdapterModel", "hidden_size": 32,
    "version": "adapters.1.3.0",
}  # fmt: skip
HEAD = {
    "config": {"head_type": "classification", "num_labels": 2, "layers": 1, "label2id": {"bad": 0, "good": 1},
               "use_pooler": False, "bias": True, "activation_function": "tanh"},
    "name": "a", "model_class": "BertAdapterModel",
}  # fmt: skip
BOTTLENECK = {"mh_adapter": False, "output_adapter": True, "reduction_factor": 4, "non_linearity": "relu"}


def answers(files):
    """Ask everything that is asked of files; what any of it raises fails the test."""
    describe(openers(files))
    serving_of(openers(files))
    folder = opened(openers(files))
    folder.base = Base("tiny/bert", BASE, 96)
    return {result.id: result for result in ask(folder) if result.outcome == "failed"}


def tensors_of(kind):
    """A file with a tensor of each name that the method knows, in a shape that need not be right."""
    own = [f"{kind.prefix}bert.encoder.layer.0.attention.self.query.{name}" for name in kind.parameters]
    names = [*own, *(f"{name}x" if name.endswith(".") else name for name in kind.shared_names)]
    return pack(dict.fromkeys(names, ("F32", (4, 32), b"\x00\x00\x80\x3f" * 128)))


@sweep("kind", KINDS)
def test_no_value_of_any_field_of_any_method_raises(kind):
    said = {"peft_type": kind.peft_type, "base_model_name_or_path": "tiny/bert", "target_modules": ["query"]}
    weights = tensors_of(kind)
    header = headers.read(io.BytesIO(weights))
    for field in {*READ_ANYWAY, *EVERYWHERE, *kind.keys, *kind.ignored, *(one.key for one in kind.unproven)}:
        for value in VALUES:
            files = {CONFIG: json.dumps({**said, field: value}).encode(), WEIGHTS: weights}
            refused = answers(files)
            try:
                Adapter({**said, field: value}, header).on(Shapes(BASE))
            except (NotComputable, PatternError):
                assert refused, f"{field} = {value!r} cannot be fitted, and no check says why"


@pytest.mark.parametrize("value", [[8], "x", {}, True, 8.5, None], ids=repr)
def test_a_rank_that_is_no_whole_number_is_named_by_the_check_and_by_the_fit(value):
    files = config(r=value)(lora())
    assert "says r = " in answers(files)["config.invalid"].message
    with pytest.raises(NotComputable, match="says r = "):
        Adapter(json.loads(files[CONFIG]), headers.read(io.BytesIO(files[WEIGHTS])))


@pytest.mark.parametrize("value", [["LORA"], {"a": 1}, 7], ids=repr)
def test_a_method_that_is_no_text_is_named(value):
    assert "says peft_type = " in answers(config(peft_type=value)(lora()))["config.invalid"].message


def library(adapter=LIBRARY, head=HEAD):
    tensors = {"bert.encoder.layer.0.attention.self.query.loras.a.lora_A": ("F32", (4, 32), b"\x00\x00\x80\x3f" * 128)}
    labels = {"heads.a.1.weight": ("F32", (2, 32), b"\x00\x00\x80\x3f" * 64)}
    return {
        CONFIG: json.dumps(adapter).encode(), "adapter.safetensors": pack(tensors),
        "head_config.json": json.dumps(head).encode(), "model_head.safetensors": pack(labels),
    }  # fmt: skip


def in_field(said, value):
    """Yield a config for each of its fields, and for each inside `config`, in which that one has another value."""
    for field in said:
        yield field, {**said, field: value}
    for field in said["config"]:
        yield field, {**said, "config": {**said["config"], field: value}}


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_no_value_of_any_field_of_the_adapters_library_raises(value):
    assert answers(library()) == {}
    for method in (LIBRARY, {**LIBRARY, "config": BOTTLENECK}, {**LIBRARY, "config": {"architecture": "union"}}):
        for _, changed in in_field(method, value):
            answers(library(adapter=changed))
    for _, changed in in_field(HEAD, value):
        answers(library(head=changed))


@pytest.mark.parametrize("field", ["name", "model_name", "model_type", "hidden_size", "version"])
def test_a_field_of_the_adapters_library_of_the_wrong_type_is_named(field):
    assert f"says {field} = " in answers(library({**LIBRARY, field: {"a": ["x"]}}))["config.invalid"].message


@pytest.mark.parametrize("field", ["r", "alpha", "attn_matrices", "selfattn_lora", "leave_out"])
def test_a_field_of_a_method_of_the_adapters_library_of_the_wrong_type_is_named(field):
    said = {**LIBRARY, "config": {**LIBRARY["config"], field: {"a": ["x"]}}}
    assert f"says {field} = " in answers(library(said))["config.invalid"].message


@pytest.mark.parametrize("field", ["head_type", "num_labels", "layers", "label2id", "use_pooler", "bias"])
def test_a_field_of_a_head_of_the_wrong_type_is_named(field):
    said = {**HEAD, "config": {**HEAD["config"], field: [{}]}}
    assert f"head_config.json says {field} = " in answers(library(head=said))["config.invalid"].message


@sweep("field", ["adapter_setup", "head_setup"])
@pytest.mark.parametrize("value", [*VALUES, {"type": ["Stack"], "children": [3]}], ids=repr)
def test_no_value_of_a_set_up_raises(field, value):
    setup = {"adapter_setup": {"type": "single", "children": ["a"]}, "head_setup": "a", field: value}
    files = {f"a/{path}": data for path, data in library().items()}
    found = answers({"adapter_setup.json": json.dumps(setup).encode(), **files})
    assert found.keys() <= {"config.invalid", "file.missing"}
    assert found or value == "x" or (field, value) == ("head_setup", ["x"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("fine_tune_type", ["lora"]), ("model", {}), ("num_layers", "all"), ("lora_parameters", [4]),
     ("lora_parameters", {"rank": "4"}), ("lora_parameters", {"rank": 4, "scale": "20"})],
    ids=repr,
)  # fmt: skip
def test_a_field_of_mlx_of_the_wrong_type_fails(field, value):
    files = repository("mlx") | {CONFIG: mlx_config(**{field: value})}
    assert list(answers(files)) == ["config.invalid"]
    assert (field if not isinstance(value, dict) else "") in answers(files)["config.invalid"].message
