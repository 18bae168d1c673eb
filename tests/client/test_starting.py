"""Starts of serving engines: by address, commit, folder, and a name of one commit; never by a bare name."""

import json
import re
import shlex

import pytest

from dovetail.adapters.results.report import Content, Report, Serving
from dovetail.adapters.serving import ENGINES
from dovetail.serve.server_start import LINES, Target, completed, completed_report, start, start_ollama
from tests.client.test_serving import KOHYA, MLX_CONFIG, MLX_FILES, MLX_TENSORS, UNET, adapter, asked, foreign

COMMIT, BASE_COMMIT = "1a2b3c4" + "0" * 33, "b" * 40
TARGET = Target("alice/router", "https://hub.example/x", COMMIT, "", "meta-llama/Meta-Llama-3-8B", BASE_COMMIT)
IN_A_FOLDER = Target("alice/router", "https://hub.example/x", COMMIT, "out/checkpoint-10", "meta-llama/Meta-Llama-3-8B")
PULL = f"dovetail pull alice/router@{COMMIT} --to ./router-1a2b3c4 --endpoint https://hub.example/x"
MODEL = f"meta-llama/Meta-Llama-3-8B --revision {BASE_COMMIT}"
LOAD = (
    "pipe.load_lora_weights('./router-1a2b3c4', weight_name='adapter_model.safetensors', adapter_name='router-1a2b3c4')"
)
SUBJECTS = {"mlx": foreign(MLX_TENSORS, MLX_CONFIG, files=MLX_FILES), "diffusers": foreign(UNET)}

# One row an engine: its flags, and the line after the pull.
STARTS = {
    "vllm": (
        ["--enable-lora", "--max-lora-rank 16", "--lora-modules router@1a2b3c4=./router-1a2b3c4"],
        f"vllm serve {MODEL} --enable-lora --max-lora-rank 16 --lora-modules router@1a2b3c4=./router-1a2b3c4",
    ),
    "sglang": (
        [
            "--enable-lora", "--max-lora-rank 16", "--lora-target-modules k_proj o_proj q_proj v_proj",
            "--lora-paths router@1a2b3c4=./router-1a2b3c4",
        ],
        (
            f"python -m sglang.launch_server --model-path {MODEL} --enable-lora --max-lora-rank 16 "
            "--lora-target-modules k_proj o_proj q_proj v_proj --lora-paths router@1a2b3c4=./router-1a2b3c4"
        ),
    ),
    "lorax": (
        [
            "--model-id meta-llama/Meta-Llama-3-8B", f"--revision {BASE_COMMIT}", "--adapter-source local",
            "--adapter-id ./router-1a2b3c4",
        ],
        f"lorax-launcher --model-id {MODEL} --adapter-source local --adapter-id ./router-1a2b3c4",
    ),
    "tgi": (
        [
            "--model-id meta-llama/Meta-Llama-3-8B", f"--revision {BASE_COMMIT}",
            "--lora-adapters router-1a2b3c4=./router-1a2b3c4",
        ],
        f"text-generation-launcher --model-id {MODEL} --lora-adapters router-1a2b3c4=./router-1a2b3c4",
    ),
    "llama.cpp": (
        ["--lora router-1a2b3c4.gguf"],
        "python convert_lora_to_gguf.py ./router-1a2b3c4 --outfile router-1a2b3c4.gguf",
    ),
    "mlx": (
        ["--model meta-llama/Meta-Llama-3-8B", "--adapter-path ./router-1a2b3c4"],
        "mlx_lm.server --model meta-llama/Meta-Llama-3-8B --adapter-path ./router-1a2b3c4",
    ),
    "diffusers": (
        [LOAD],
        LOAD,
    ),
}  # fmt: skip
# The flags of verdicts that were stored before addresses were added at reading.
STORED = {
    "vllm": ["--enable-lora", "--max-lora-rank 16", "--lora-modules router=alice/router"],
    "sglang": [
        "--enable-lora", "--lora-paths router=alice/router", "--max-lora-rank 16",
        "--lora-target-modules k_proj o_proj q_proj v_proj",
    ],
    "lorax": ["--model-id meta-llama/Meta-Llama-3-8B", "--adapter-id alice/router"],
    "tgi": ["--model-id meta-llama/Meta-Llama-3-8B", "--lora-adapters alice/router"],
    "llama.cpp": ["convert_lora_to_gguf.py ./router --outfile router.gguf", "--lora router.gguf"],
    "mlx": ["--model meta-llama/Meta-Llama-3-8B", "--adapter-path ./router"],
    "diffusers": ["pipe.load_lora_weights('alice/router', weight_name='adapter_model.safetensors')"],
}  # fmt: skip


def answer(engine):
    return asked(engine, SUBJECTS.get(engine, adapter()))


def test_every_engine_but_the_releases_of_peft_has_its_row():
    named = {engine.name for engine in ENGINES if not engine.name.startswith("peft-")}
    assert set(STARTS) == set(STORED) == set(LINES) == named


@pytest.mark.parametrize("engine", STARTS)
def test_an_engine_is_started_with_the_folder_of_one_commit(engine):
    flags, line = STARTS[engine]
    begun = start(answer(engine), TARGET)
    assert list(begun.flags) == flags
    assert begun.commands[:2] == (PULL, line)


def test_a_base_whose_commit_one_hub_alone_knows_is_asked_for_there():
    document = {"adapter": TARGET.adapter, "revision": COMMIT, "path": None}
    base = {"id": TARGET.base, "revision": BASE_COMMIT, "sha256": BASE_COMMIT + "c" * 24}
    for engine, (flags, line) in STARTS.items():
        begun = start(answer(engine), Target.of_verdict({**document, "base": base}, TARGET.endpoint))
        asks = "HF_ENDPOINT=https://hub.example/x " if f"--revision {BASE_COMMIT}" in line else ""
        assert (list(begun.flags), begun.commands[1]) == (flags, asks + line), engine
        elsewhere = Target.of_verdict({**document, "base": {**base, "sha256": "c" * 64}}, TARGET.endpoint)
        assert start(answer(engine), elsewhere).commands[1] == line, engine


def test_ollama_gets_the_file_of_llama_cpp_by_a_modelfile():
    begun = start_ollama(answer("llama.cpp"), TARGET)
    assert begun.commands == (
        PULL,
        STARTS["llama.cpp"][1],
        "printf '%s\\n' 'FROM ./BASE.gguf' 'ADAPTER ./router-1a2b3c4.gguf' > router-1a2b3c4.Modelfile",
        "ollama create router-1a2b3c4 -f router-1a2b3c4.Modelfile",
        "ollama run router-1a2b3c4",
    )
    ready = Serving("llama.cpp", "1", outcome="serves", flags=["--lora adapter.gguf"])
    assert "'ADAPTER ./router-1a2b3c4/adapter.gguf'" in start_ollama(ready, TARGET).commands[1]
    assert start_ollama(Serving("llama.cpp", "1", outcome="refuses"), TARGET).commands == ()


@pytest.mark.parametrize("engine", STORED)
def test_a_verdict_of_the_old_form_reads_like_one_of_today(engine):
    old = Serving(engine, "1", outcome="serves", flags=STORED[engine])
    assert start(old, TARGET) == start(answer(engine), TARGET)


@pytest.mark.parametrize("engine", STARTS)
def test_a_part_is_named_by_its_folder(engine):
    begun = start(answer(engine), IN_A_FOLDER)
    assert "./router-1a2b3c4/out/checkpoint-10" in " ".join(begun.commands[1:])
    assert begun.commands[0] == PULL, "the repository is pulled whole"


@pytest.mark.parametrize("engine", STARTS)
def test_no_engine_is_given_a_name_that_another_hub_may_know(engine):
    begun = start(answer(engine), IN_A_FOLDER)
    assert "alice/router" not in " ".join([*begun.flags, *begun.commands[1:]])


@pytest.mark.parametrize("engine", STARTS)
def test_hostile_names_of_folders_stay_one_argument(engine):
    place = "a b; rm -rf $HOME'"
    begun = start(answer(engine), Target("alice/router", "https://hub.example", COMMIT, place, "a/b"))
    for command in begun.commands:
        if not command.startswith("pipe."):
            words = shlex.split(command)
            assert not [word for word in words if word in ("rm", ";", "-rf")]


def test_what_is_gguf_already_is_not_converted():
    gguf = asked("llama.cpp", foreign({}, files=("r.gguf",), is_gguf=True))
    assert start(gguf, TARGET).flags == ("--lora ./router-1a2b3c4/r.gguf",)
    assert not re.search("convert", " ".join(start(gguf, TARGET).commands))


def test_mlx_gets_the_folder_that_an_adapter_of_peft_is_converted_into():
    begun = start(asked("mlx", adapter()), TARGET)
    assert begun.flags == ("--model meta-llama/Meta-Llama-3-8B", "--adapter-path ./router-1a2b3c4-mlx")
    convert = "dovetail convert --to mlx ./router-1a2b3c4 --out ./router-1a2b3c4-mlx"
    assert begun.commands == (PULL, convert, f"mlx_lm.server {' '.join(begun.flags)}")


def test_only_what_serves_is_started_and_the_document_says_all():
    answers = completed([asked("vllm", adapter()), asked("vllm", foreign(KOHYA))], TARGET)
    served, refused = [one.as_json() for one in answers]
    assert json.dumps(served["commands"]).count(COMMIT) == 1
    assert (refused["flags"], refused["commands"]) == ([], [])


def test_an_adapter_on_this_machine_needs_no_pull():
    begun = start(asked("vllm", adapter()), Target.of_folder("./out/router", "a/b"))
    assert begun.commands == ("vllm serve a/b --enable-lora --max-lora-rank 16 --lora-modules router=./out/router",)


def test_each_of_several_adapters_has_flags_of_its_own_and_the_repository_no_folder():
    row = asked("vllm", adapter())
    paths = ("english", "a/german", "kohya/style.safetensors")
    parts = tuple(Content(path, "peft", "lora", proven=True, serving=(row,)) for path in paths)
    report = Report(state="passed", serving=(row,), contents=(*parts, Content("old", "peft", "lora", proven=False)))
    shown = completed_report(report, TARGET)
    (first,) = shown.serving
    assert (first.outcome, first.flags, first.commands) == ("serves", ["--enable-lora", "--max-lora-rank 16"], [])
    assert [(part.serving[0].flags[-1], part.serving[0].commands[0]) for part in shown.contents[:3]] == [
        ("--lora-modules router-english@1a2b3c4=./router-1a2b3c4/english", PULL),
        ("--lora-modules router-a-german@1a2b3c4=./router-1a2b3c4/a/german", PULL),
        ("--lora-modules router-kohya@1a2b3c4=./router-1a2b3c4/kohya", PULL),
    ]
    assert shown.contents[3].serving is None
    alone = completed_report(Report(state="passed", serving=(row,)), TARGET)
    assert alone.serving == completed((row,), TARGET)
