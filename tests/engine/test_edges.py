"""Checks at the edges of their decisions: one test for each rule that no other test would miss."""

import json
import struct
import subprocess
from pathlib import Path

import pytest

from dovetail.adapters.checks import checks_of, opened, tensors
from dovetail.adapters.readers.folder import Base
from dovetail.adapters.results.findings import Finding
from dovetail.adapters.shapes.fit import Manifest, Module
from tests import adapters
from tests.adapters import (
    CONFIG,
    TINY_LLAMA,
    WEIGHTS,
    config,
    hostile_pickle,
    lora,
    openers,
    pack,
    prompt,
    weights,
    with_file,
)
from tests.engine.conftest import python_of
from tests.engine.test_fields import BASE
from tests.engine.test_foreign import gguf, kohya, loralib, mlx, ones, repository

LAYERS = [f"model.layers.{at}.self_attn.q_proj" for at in range(2)]
LLAMA = Manifest({path: Module("linear", 32, 32, {"weight": (32, 32)}) for path in LAYERS}, 32)


def say(id, files, manifest=BASE, card=None):
    """Return what one check says of files, and in which words."""
    folder = opened(openers(files), card)
    folder.base = Base("tiny/base", manifest, 96) if manifest else None
    found = next(check for check in checks_of(folder) if check.id == id).ask(folder)
    return found if isinstance(found, Finding) else Finding("passed", found)


def outcome(id, files, manifest=BASE):
    return say(id, files, manifest).outcome


def test_saved_embeddings_are_compared_with_each_other_without_a_base_and_with_it_where_its_weights_are_at_hand():
    tables = {f"base_model.model.{path}.weight": ones(64, 32) for path in ("model.embed_tokens", "lm_head")}
    tied = lora(TINY_LLAMA, task="CAUSAL_LM", modules_to_save=["embed_tokens"], ensure_weight_tying=True)
    same = weights(lambda tensors: {**tensors, **tables})(tied)
    other = weights(lambda tensors: {**tensors, "base_model.model.lm_head.weight": ones(64, 32, value=2)})(same)
    for manifest in (None, LLAMA):
        assert outcome("tensors.replaces-base", same, manifest) == "passed"
        assert outcome("tensors.replaces-base", other, manifest) == "failed"
    plain = weights(lambda tensors: {**tensors, **tables})(lora(TINY_LLAMA, task="CAUSAL_LM"))
    held = {"model.embed_tokens.weight": ones(64, 32), "lm_head.weight": ones(64, 32)}
    changed = held | {"lm_head.weight": ones(64, 32, value=2), "model.embed_tokens.weight": ones(64, 32, value=2)}
    found = []
    for of_base in (None, held, changed):
        folder = opened(openers(plain), None)
        opener = openers({WEIGHTS: pack(of_base)})[WEIGHTS] if of_base else None
        folder.base = Base("tiny/base", LLAMA, 96, weights=opener)
        found.append(tensors.replaces_base(folder))
    assert [getattr(one, "outcome", "passed") for one in found] == ["passed", "passed", "failed"]


def onnx(*places, value_first=False):
    """A model of ONNX with a tensor for each place of external data."""

    def field(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    graph = b""
    for place in places:
        entry = [field(1, b"location"), field(2, place.encode())]
        entry.reverse() if value_first else None
        tensor = b"\x08\x04" + field(13, b"".join(entry)) + field(13, field(1, b"offset") + field(2, b"0"))
        graph += field(5, tensor)
    return b"\x08\x09" + field(7, graph)


@pytest.mark.parametrize("value_first", [False, True])
def test_external_data_of_a_model_beside_the_adapter_stays_in_its_folder(value_first):
    def of(*places):
        return say("file.header", with_file("onnx/m.onnx", onnx(*places, value_first=value_first))(lora()))

    assert of("m.onnx.data", "weights/..data").outcome == "passed"
    for place in ("/etc/passwd", "../../secrets", "a\\..\\b", "C:\\x", ".."):
        found = of("m.onnx.data", place)
        assert (found.outcome, repr(place) in found.message) == ("warned", True), place


def test_a_gguf_beside_the_adapter_has_a_header_that_programs_can_trust():
    sound = gguf()["x.gguf"]
    assert outcome("file.header", with_file("merged/m.gguf", sound)(lora())) == "passed"
    counts = [sound[:8] + struct.pack("<Q", count) + sound[16:] for count in (2**61, 2**64 - 1)]
    facts = [sound[:16] + struct.pack("<Q", 2**63) + sound[24:]]
    for content in (*counts, *facts, sound[: len(sound) // 2], b"GGUF", b""):
        found = say("file.header", with_file("merged/m.gguf", content)(lora()))
        assert (found.outcome, "merged/m.gguf is not a valid GGUF file" in found.message) == ("warned", True)


HOSTILE = "{{ ''.__class__.__mro__[1].__subclasses__()[140]('id', shell=True) }}"
TEMPLATES = {
    "a file": with_file("chat_template.jinja", HOSTILE.encode()),
    "one of several": with_file("additional_chat_templates/tools.jinja", HOSTILE.encode()),
    "the tokenizer's": with_file("tokenizer_config.json", json.dumps({"chat_template": HOSTILE}).encode()),
    "one of the tokenizer's": with_file(
        "tokenizer_config.json",
        json.dumps({"chat_template": [{"name": "default", "template": "{{ m }}"}, {"template": HOSTILE}]}).encode(),
    ),
    "that of a GGUF": with_file("m.gguf", gguf(**{"tokenizer.chat_template": HOSTILE + " " * 9000})["x.gguf"]),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_chat_template_that_reaches_into_python_fails(name):
    found = say("base.chat-template", TEMPLATES[name](lora()))
    assert (found.outcome, "__class__" in found.message) == ("failed", True)
    honest = say("base.chat-template", with_file("chat_template.jinja", b"{{ m['content'] }}__start__")(lora()))
    assert honest.outcome == "passed"


def test_an_adapter_in_gguf_answers_for_its_template_too():
    hostile = gguf(**{"tokenizer.chat_template": HOSTILE})
    assert outcome("base.chat-template", hostile) == "failed"
    assert outcome("base.chat-template", gguf(**{"tokenizer.chat_template": "{{ messages }}"})) == "passed"


def test_an_adapter_that_saves_most_of_its_base_whole_is_told_to_be_a_model():
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    base = Manifest(
        {
            f"model.layers.{at}.self_attn.{n}": Module("linear", 32, 32, {"weight": (32, 32)})
            for at in range(2)
            for n in names
        },
        32,
    )
    for saved, expected in (
        ([], "passed"),
        (["lm_head"], "passed"),
        (["k_proj"], "passed"),
        (["k_proj", "o_proj"], "warned"),
    ):
        files = lora(TINY_LLAMA, task="CAUSAL_LM", modules_to_save=saved)
        found = say("tensors.targets", files, base)
        assert found.outcome == expected, found.message


def of_bottleneck(**changes):
    """A config of the adapters library, without weights."""
    method = {"architecture": None, "mh_adapter": False, "output_adapter": True, "reduction_factor": 16}
    config = {"config": method | {"non_linearity": "relu"} | changes, "name": "text", "model_type": "bert"}
    return {CONFIG: json.dumps(config | {"version": "adapters.1.3.0"}).encode()}


def test_a_missing_field_of_a_bottleneck_is_told_from_a_value_whatever_that_says():
    lacking = say("config.invalid", of_bottleneck(mh_adapter=None))
    assert lacking.message.endswith("does not say mh_adapter, and the library has no default for it.")
    assert lacking.where["keys"] == ["mh_adapter"]
    wrong = say("config.invalid", of_bottleneck(non_linearity="it does not say so"))
    assert wrong.message.endswith("which is not a value that the library accepts.")


@pytest.mark.parametrize(("tokens", "expected"), [(0, "failed"), (1, "passed"), (4096, "passed"), (4097, "failed")])
def test_a_prompt_has_from_one_to_4096_tokens(tokens, expected):
    files = prompt("PROMPT_TUNING", tokens=max(1, min(tokens, 4096)))
    assert outcome("config.rank", config(num_virtual_tokens=tokens)(files)) == expected


@pytest.mark.parametrize(
    ("hidden", "expected"), [(None, "passed"), (0, "passed"), (16_384, "passed"), (16_385, "failed")]
)
def test_the_encoder_of_a_prompt_is_bounded(hidden, expected):
    assert outcome("config.rank", config(encoder_hidden_size=hidden)(prompt("P_TUNING"))) == expected


def test_a_prompt_has_as_many_rows_as_its_config_says_and_cpt_counts_its_own_tokens():
    assert outcome("config.rank", config(num_virtual_tokens=4)(prompt("PROMPT_TUNING", tokens=5))) == "failed"
    cpt = config(peft_type="CPT", cpt_token_ids=[5, 6, 7], num_virtual_tokens=None)
    assert outcome("config.rank", cpt(prompt("PROMPT_TUNING", tokens=3))) == "passed"
    assert outcome("config.rank", cpt(prompt("PROMPT_TUNING", tokens=5))) == "failed"


def test_a_prompt_without_its_tensor_and_shared_tensors_without_modules_are_told():
    files = {**prompt("PROMPT_TUNING"), WEIGHTS: pack({"other": ones(2, 2)})}
    assert "no tensor named prompt_embeddings" in say("tensors.targets", files).message
    assert outcome("tensors.targets", prompt("PROMPT_TUNING")) == "passed"
    bank = {"base_model.unilora_theta_d": ones(8)}
    unilora = {CONFIG: json.dumps({"peft_type": "UNILORA", "target_modules": ["query"]}).encode()}
    assert outcome("tensors.targets", {**unilora, WEIGHTS: pack(bank)}) == "passed"
    assert outcome("tensors.targets", {**unilora, WEIGHTS: pack({"x": ones(8)})}) == "failed"


@pytest.mark.parametrize(("rank", "expected"), [(4, "passed"), (3, "failed")])
def test_the_matrices_of_a_method_without_a_bounded_rank_agree_in_it(rank, expected):
    name = "base_model.model.bert.encoder.layer.0.attention.self.query.supertuning"
    tensors = {
        f"{name}_values": ones(8), f"{name}_indices": ones(8),
        f"{name}_lora_A.weight": ones(4, 32), f"{name}_lora_B.weight": ones(32, rank),
    }  # fmt: skip
    said = {"peft_type": "SUPERTUNING", "target_modules": ["query"], "r": 4}
    found = say("tensors.pair", {CONFIG: json.dumps(said).encode(), WEIGHTS: pack(tensors)})
    assert found.outcome == expected
    assert ("[4, 32] and [32, 3]" in found.message) == (expected == "failed")


def test_the_base_that_the_card_names_is_proposed_unless_it_is_a_path():
    nameless = config(base_model_name_or_path=None)(lora())
    assert "'acme/bert', which the card names" in say("base.unnamed", nameless, card={"base_model": "acme/bert"}).fix
    assert "'org/name'" in say("base.unnamed", nameless, card={"base_model": "/home/me/bert"}).fix
    assert "'org/name'" in say("base.unnamed", nameless, card={}).fix


def test_what_to_do_about_a_pickle_follows_from_what_it_is():
    state = say("file.pickle", with_file("run/optimizer.pt", hostile_pickle())(lora()))
    assert state.fix == "Delete run/optimizer.pt: it is training state, which users do not need."
    assert "Delete rng_state_0.pth:" in say("file.pickle", with_file("rng_state_0.pth", hostile_pickle())(lora())).fix
    weights = say("file.pickle", adapters.pickled_only()(lora()))
    assert weights.fix.endswith("push adapter_model.safetensors. Delete adapter_model.bin.")
    assert "rename it if its data is not a pickle" in say("file.pickle", adapters.with_pickle()(lora())).fix
    cut = say("file.pickle", with_file("x.bin", hostile_pickle()[:-3])(lora()))
    assert "would import builtins print" in cut.message or "counts as a pickle" in cut.message


# --- formats that no engine runs -------------------------------------------------------------------------------------
def test_a_second_file_of_a_trainer_at_the_top_is_told_and_one_in_a_folder_is_not():
    files = repository("kohya")
    second = pack(*kohya())
    assert outcome("file.ambiguous", files) == "passed"
    assert outcome("file.ambiguous", {**files, "old/y.safetensors": second}) == "passed"
    found = say("file.ambiguous", {**files, "y.safetensors": second})
    assert (found.outcome, found.where["files"]) == ("warned", ["y.safetensors"])


def test_a_tensor_that_is_no_part_of_the_format_is_told():
    tensors, metadata = kohya()
    assert outcome("tensors.unused", repository("kohya")) == "passed"
    found = say("tensors.unused", repository("kohya", {**tensors, "stray": ones(2)}, metadata))
    assert (found.outcome, found.where["tensors"]) == ("warned", ["stray"])


@pytest.mark.parametrize(("rank", "expected"), [(4096, "passed"), (4097, "failed")])
def test_the_rank_of_a_format_that_no_engine_runs_is_bounded(rank, expected):
    assert outcome("config.rank", repository("kohya", *kohya(rank=rank))) == expected


def test_what_names_modules_of_a_base_is_fitted_to_its_shapes_and_says_so():
    for files in (repository("mlx"), repository("loralib"), gguf({"blk.0.attn_q.weight": (32, 32)})):
        assert outcome("fit.unexpected", files, LLAMA) == "passed"
        assert outcome("fit.shape", files, LLAMA) == "passed"
        told = say("run.not-here", files, LLAMA)
        assert (told.where["proven"], "tiny/base" in told.message) == ("fit", True)
        assert say("run.not-here", files, None).where["proven"] == "static"
        assert outcome("fit.shape", files, None) == "skipped"
    assert say("run.not-here", repository("kohya"), LLAMA).where["proven"] == "static"
    assert outcome("fit.unexpected", repository("kohya"), LLAMA) == "skipped"


def test_a_module_that_the_base_lacks_and_one_of_another_width_fail():
    stranger = say("fit.unexpected", repository("mlx", *mlx(module="mlp.router")), LLAMA)
    assert (stranger.outcome, len(stranger.where["modules"])) == ("failed", 2)
    wide = say("fit.shape", repository("mlx", *mlx(width=48)), LLAMA)
    assert (wide.outcome, wide.where["expected"], wide.where["found"]) == ("failed", [32, 32], [48, 48])


def test_of_a_merged_linear_of_loralib_only_the_inputs_are_compared():
    tensors, _ = loralib()
    name = LAYERS[0]
    assert outcome("fit.shape", repository("loralib", {**tensors, f"{name}.lora_B": ones(96, 4)}), LLAMA) == "passed"
    assert outcome("fit.shape", repository("loralib", {**tensors, f"{name}.lora_A": ones(4, 48)}), LLAMA) == "failed"


# --- layers, ranks, words --------------------------------------------------------------------------------------------
def with_layers(*numbers):
    """A LoRA on `query` in these layers, over a base that nobody asks."""
    names = [f"base_model.model.bert.encoder.layer.{at}.attention.self.query" for at in numbers]
    tensors = {f"{name}.lora_{side}.weight": ones(*shape) for name in names
               for side, shape in (("A", (4, 32)), ("B", (32, 4)))}  # fmt: skip
    return {**config(target_modules=["query"])(lora()), WEIGHTS: pack(tensors)}


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((0, 1, 2), "passed"), ((3, 4, 5), "passed"), ((0, 2), "warned"), ((2, 3, 5, 6), "warned"), ((0, 1, 3), "warned")],
)
def test_a_hole_between_the_first_and_the_last_layer_is_told(numbers, expected):
    assert outcome("tensors.layers", with_layers(*numbers), None) == expected


@pytest.mark.parametrize("chosen", [{"layers_to_transform": [0, 2]}, {"exclude_modules": ["1.query"]}])
def test_a_hole_that_the_config_asks_for_is_none(chosen):
    assert outcome("tensors.layers", config(**chosen)(with_layers(0, 2)), None) == "passed"


@pytest.mark.parametrize(("rank", "expected"), [(0, "failed"), (1, "passed"), (1024, "passed"), (1025, "failed")])
def test_a_rank_is_from_1_to_1024_also_in_the_pattern_of_ranks(rank, expected):
    files = lora(rank=max(1, min(rank, 1024)))
    assert outcome("config.rank", config(r=rank)(files)) == expected
    patterned = config(r=4, rank_pattern={"query": rank, "value": rank})(files)
    assert outcome("config.rank", patterned) == expected


def test_a_module_with_a_rank_of_its_own_is_held_to_that_one():
    files = config(r=8, rank_pattern={"query": 4, "value": 4})(lora(rank=4))
    assert outcome("config.rank", files) == "passed"
    assert "says 5" in say("config.rank", config(rank_pattern={"query": 4, "value": 5})(files)).message


@pytest.mark.parametrize(
    ("id", "files", "fix"),
    [
        ("config.rank", config(r=8)(lora(rank=4)), "Set r to 4 in adapter_config.json: all tensors have that rank."),
        (
            "config.rank",
            config(rank_pattern={"value": 5})(lora(rank=4)),
            "Set r to 4 in adapter_config.json and remove",
        ),
        ("config.rank", config(num_virtual_tokens=4)(prompt("PROMPT_TUNING", tokens=5)), "Set num_virtual_tokens to 5"),
        ("config.rank", repository("mlx", lora_parameters={"rank": 8}), "Set rank to 4 in lora_parameters of"),
        ("tensors.targets", config(target_modules=["query"])(lora()), "or add 'value' to target_modules"),
        ("tensors.targets", config(target_modules=["query", "value", "key"])(lora()), "or remove 'key' from"),
    ],
)
def test_a_fix_names_the_value_where_the_files_tell_it(id, files, fix):
    assert fix in say(id, files).fix


def test_names_of_modules_that_the_base_has_not_change_nothing():
    union = ["query", "value", "q_proj", "v_proj", "query_key_value", "c_attn", "Wqkv"]
    for names, manifest, expected in (
        (union, BASE, "passed"),
        ([*union, "key"], BASE, "failed"),
        (union, None, "warned"),
        (["query", "value", "self.key"], BASE, "failed"),
        (["query", "value", "other.query"], BASE, "passed"),
        (r".*(query|value|q_proj)", BASE, "passed"),
    ):
        found = say("tensors.targets", config(target_modules=names)(lora()), manifest)
        assert found.outcome == expected, (names, found.message)
    said = say("tensors.targets", config(target_modules=union)(lora())).message
    assert "It also names Wqkv, c_attn, q_proj, query_key_value, v_proj, which the base does not have" in said
    patterns = config(rank_pattern={"q_proj": 8, "c_attn": 2}, alpha_pattern={"Wqkv": 3}, target_modules=union)(lora())
    assert all(outcome(id, patterns) == "passed" for id in ("config.rank", "config.pattern", "tensors.targets"))


def test_magnitudes_of_zero_are_told_and_so_is_an_init_that_changed_the_base():
    name = "base_model.model.bert.encoder.layer.{}.attention.self.{}.lora_magnitude_vector"
    files = config(use_dora=True)(lora())
    for layer in range(2):
        for part in ("query", "value"):
            files = adapters.extra_tensor(name.format(layer, part), (32,), layer)(files)
    found = say("tensors.all-zero", files)
    assert found.outcome == "warned"
    assert "lora_magnitude_vector is zero in bert.encoder.layer.0.attention.self.query" in found.message
    assert found.where["modules"] == [f"bert.encoder.layer.0.attention.self.{part}" for part in ("query", "value")]
    note = say("config.changes-base", config(init_lora_weights="lora_ga")(lora()))
    assert (note.outcome, "LoRA-GA had changed" in note.message) == ("passed", True)


INITS = {  # as init_lora_weights says it → what PEFT does, and what the fix must name
    "pissa": ("alone it answers as it was trained", "--to peft-lora --rank 8 "),
    "olora": ("alone it answers as it was trained", "--to peft-lora --rank 8 "),
    "PiSSA_niter_16": ("draws it at random", "in its training run"),
    "corda": ("needs the training data", "in its training run"),
    "loftq": ("bitsandbytes", "base that LoftQ made"),
}


def test_an_init_that_changes_the_base_is_told_with_what_peft_does_and_a_fix_that_works():
    for init, (does, way) in INITS.items():
        found = say("config.changes-base", config(init_lora_weights=init)(lora()))
        assert (found.outcome, does in found.message, way in found.fix) == ("failed", True, True), found
    wider = say("config.changes-base", config(init_lora_weights="pissa", rank_pattern={"value": 24})(lora()))
    assert "--rank 48 " in wider.fix


@pytest.mark.parametrize(("token", "expected"), [(95, "passed"), (96, "failed"), (10**15, "failed")])
def test_the_last_token_of_the_vocabulary_is_the_last_that_can_be_trained_or_added(token, expected):
    assert outcome("base.vocabulary", config(trainable_token_indices=[token])(lora())) == expected
    assert outcome("base.vocabulary", with_file("added_tokens.json", b'{"<x>": %d}' % token)(lora())) == expected


def test_whole_embeddings_say_how_many_rows_they_have_and_how_coarse_they_are():
    name = "base_model.model.bert.embeddings.word_embeddings.weight"
    grown = say("base.vocabulary", adapters.extra_tensor(name, (99, 32))(lora()))
    assert (grown.outcome, grown.where["rows"]) == ("warned", 99)
    assert "of 99 rows, the base 96." in grown.message
    same = say("base.vocabulary", adapters.extra_tensor(name, (96, 32))(lora()))
    assert "of 96 rows." in same.message
    halves = adapters.weights(lambda t: {**t, name: ("BF16", (96, 32), bytes(96 * 64))})(lora())
    assert "rounds the base's embeddings to BF16" in say("base.vocabulary", halves).message


@pytest.mark.merge
@pytest.mark.parametrize("engine", ["e4", "e5"])
def test_peft_itself_does_not_stack_an_adapter_on_an_adapter_where_both_adapt_a_module(engine, tmp_path):
    """What `base.unknown` says of it, and why such an adapter is not proven on both."""
    program = Path(__file__).parent / "stack_adapters.py"
    done = subprocess.run([python_of(engine), program, tmp_path], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "q_proj v_proj": "second alone", "k_proj": "both", "q_proj k_proj": "neither",
    }  # fmt: skip
