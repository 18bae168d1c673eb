"""The programs of Use: written from what the engine saw, run in its jail as they stand, and as a person pastes them."""

import json
import os
import re
import shutil
import subprocess

import pytest

from dovetail.adapters.results.program_samples import quoted
from dovetail.adapters.results.programs import Address, digest, programs
from dovetail.adapters.results.usage import AdapterUsage
from tests.adapters import TINY_BERT, TINY_LLAMA, lora, write
from tests.engine.test_measured import TAGS, TASKS, made  # noqa: F401 - a fixture

pytestmark = pytest.mark.merge

AT = {"revision": "a" * 40, "base_revision": "b" * 40}


def written(usage: dict, base: str, name: str = "u/n") -> dict[str, str]:
    return programs(
        AdapterUsage.read(usage), Address(name, AT["revision"], "http://127.0.0.1:9", base, AT["base_revision"])
    )


def run(engine, folder, usage: dict, base: str, **other) -> dict[str, dict]:
    """Have the engine run every program for its libraries, and return what became of each."""
    texts = {key: code for key, code in written(usage, base).items() if key != "sentence-transformers"}
    said = [
        {"key": key, "sha256": "", "code": code, "answer": usage.get("answer") if key == "peft" else None,
         "name": "u/n", "base": base, **AT, **other}
        for key, code in texts.items()
    ]  # fmt: skip
    engine._send(folder, None, programs=said)
    heard = engine._hear()
    assert heard["event"] == "programs"
    return {one["key"]: one for one in heard["programs"]}


def used(engine, folder, base: str, card: dict | None = None) -> tuple[dict, dict[str, dict]]:
    """Return how an adapter is used, and what became of its programs."""
    verdict = engine.validate(folder, card)
    assert verdict["state"] == "passed", verdict["checks"]
    return verdict["usage"], run(engine, folder, verdict["usage"], base)


def pasted(python, code: str, folder, bases, base: str, home) -> str:
    """Run a program as a person does, with a cache in which the hub's files are, and return the last line it prints."""
    for name, revision, files in (("u/n", AT["revision"], folder), (base, AT["base_revision"], bases)):
        place = home / "hub" / f"models--{name.replace('/', '--')}" / "snapshots"
        place.mkdir(parents=True, exist_ok=True)
        if not (place / revision).exists():
            shutil.copytree(files, place / revision)
    environment = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PATH": os.environ["PATH"], "HOME": str(home)}
    done = subprocess.run([str(python), "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.fixture
def engines(bert, llama, t5):
    return {"bert": bert, "llama": llama, "t5": t5}


def test_the_programs_of_every_task_run_and_answer_as_the_adapter_did_when_it_was_measured(engines, made):
    wrong = {}
    for task, (base, card, *_) in TASKS.items():
        usage, runs = used(engines[base], made / task, f"tiny/{base}", card)
        bad = {key: one for key, one in runs.items() if one["outcome"] != "ran"}
        if bad or "peft" not in runs or (usage.get("answer") and not runs["peft"]["printed"]):
            wrong[task] = bad or runs
        assert usage["sample"], task
    assert wrong == {}


def test_a_program_prints_the_same_for_who_pastes_it(bert, made, bases, tmp_path, engine_python):
    """With names of labels in the order of the head, three outputs, and the base pinned."""
    usage, runs = used(bert, made / "TOKEN_CLS", "tiny/bert", TAGS)
    assert (usage["labels"], usage["names"]) == (3, TAGS["label_names"])
    assert runs["peft"]["printed"] == usage["answer"]
    assert set(re.findall(r"[A-Z]{2,}", usage["answer"])) == {"THING", "FEELING"}
    code = written(usage, "tiny/bert")["peft"]
    assert "num_labels=3" in code
    assert code.count(f'"{"b" * 40}"') == 1
    home = tmp_path / "home"
    assert pasted(engine_python, code, made / "TOKEN_CLS", bases / "bert", "tiny/bert", home) == usage["answer"]


def test_labels_that_are_guessed_are_not_printed(bert, made):
    """Without names in the card the rows' names are numbered by the alphabet, which is no knowledge."""
    usage, runs = used(bert, made / "TOKEN_CLS", "tiny/bert")
    assert usage["names"] == []
    assert "id2label={" not in written(usage, "tiny/bert")["peft"]
    assert (runs["peft"]["outcome"], "LABEL_1" in runs["peft"]["printed"]) == ("ran", True)


ODD = [
    '"""; import os; os._exit(3)  # ', "'; raise SystemExit('", "\\", 'a"b\'c', "line\nbreak", "\u202eright",
    "{braces}",
    "é ü 漢", "\u2028separator", "#{comment}",
]  # fmt: skip


def test_no_label_and_no_row_ends_its_literal(bert, tmp_path):
    for odd in ODD:
        literal = quoted(odd)
        assert eval(literal) == odd
        assert "\n" not in literal
        assert literal.isprintable()
    files = lora(TINY_BERT, labels=len(ODD), size=0.6)
    rows = [{"text": f"the film was good {odd}", "label": at} for at, odd in enumerate(ODD)]
    folder = write(files | {"smoke.jsonl": "\n".join(map(json.dumps, rows)).encode()}, tmp_path / "odd")
    verdict = bert.validate(folder, {"label_names": ODD})
    assert verdict["usage"]["names"] == ODD
    runs = run(bert, folder, verdict["usage"], "tiny/bert")
    assert {one["outcome"] for one in runs.values()} == {"ran"}
    assert runs["peft"]["printed"] in {" ".join(odd.split()) for odd in ODD} | set(ODD)


def test_a_program_that_fails_or_answers_otherwise_says_so(bert, made):
    usage, _ = used(bert, made / "SEQ_CLS", "tiny/bert")
    lied = run(bert, made / "SEQ_CLS", usage | {"answer": "LABEL_9"}, "tiny/bert")["peft"]
    assert (lied["outcome"], "the adapter answered 'LABEL_9'" in lied["problem"]) == ("failed", True)
    other_head = run(bert, made / "SEQ_CLS", usage | {"labels": 3}, "tiny/bert")["peft"]
    assert (other_head["outcome"], "size mismatch" in other_head["problem"]) == ("failed", True)
    assert run(bert, made / "SEQ_CLS", usage, "tiny/bert")["peft"]["outcome"] == "ran"


def test_a_program_has_no_network_and_writes_nowhere(bert, made, tmp_path):
    reached = {}
    for name, code in {
        "file": f"open({str(tmp_path / 'here')!r}, 'w')",
        "socket": "import socket; socket.create_connection(('1.1.1.1', 53))",
        "process": "import os; os.execv('/bin/true', ['true'])", "files": "print(open('/etc/passwd').read())",
    }.items():  # fmt: skip
        program = {"key": "peft", "sha256": "", "code": code, "name": "u/n", "base": "tiny/bert", **AT}
        bert._send(made / "SEQ_CLS", None, programs=[program])
        reached[name] = bert._hear()["programs"][0]["outcome"]
    assert set(reached.values()) == {"failed"}


def test_an_own_tokenizer_a_folder_and_a_chat_template_are_in_the_program(llama, bases, tmp_path):
    folder = write(lora(TINY_LLAMA, task="CAUSAL_LM"), tmp_path / "chat" / "inside")
    for path in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(bases / "llama" / path, folder / path)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    verdict = llama.validate(tmp_path / "chat", place="inside")
    usage = verdict["usage"]
    assert (usage["tokenizer"], usage["place"], usage["has_chat_template"]) == ("adapter", "inside", True)
    engine_runs = llama
    engine_runs._send(tmp_path / "chat", None, place="inside", programs=[
        {"key": key, "sha256": "", "code": code, "answer": None, "name": "u/n", "base": "tiny/llama", **AT}
        for key, code in written(usage, "tiny/llama").items()
    ])  # fmt: skip
    runs = engine_runs._hear()["programs"]
    assert [(one["key"], one["outcome"], one["problem"]) for one in runs] == [
        ("peft", "ran", ""),
        ("pipeline", "ran", ""),
    ]
    code = written(usage, "tiny/llama")["peft"]
    assert "apply_chat_template" in code
    assert 'subfolder="inside"' in code


def test_a_program_of_the_adapters_library_runs_in_its_engine(bert4, trained):
    wrong = {}
    for method in ("seq_bn", "lora", "prefix_flat", "ia3"):
        usage, runs = used(bert4, trained / method, "tiny/bert")
        if (runs["peft"]["outcome"], runs["peft"]["printed"]) != ("ran", usage["answer"]):
            wrong[method] = runs
    assert wrong == {}


def test_the_digest_of_a_program_does_not_depend_on_where_it_is_found():
    usage = AdapterUsage("peft", model="AutoModelForCausalLM")
    one, other = (Address(name, rev, url, "tiny/llama", "c" * 40) for name, rev, url in
                  (("a/b", "verified", "https://hub.example"), ("c/d", "d" * 40, "http://127.0.0.1:9")))  # fmt: skip
    assert digest(usage, one, "peft") == digest(usage, other, "peft")
    assert digest(usage, one, "peft") != digest(usage, one, "pipeline")
    assert programs(usage, one)["peft"] != programs(usage, other)["peft"]
