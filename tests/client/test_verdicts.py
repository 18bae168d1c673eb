"""Verdicts as people read them: from a whole hub with a worker, and from documents that come in pieces."""

import json

import pytest
from huggingface_hub import HfApi

from dovetail import verdicts
from tests.adapters import MINILM, lora, with_nan, write
from tests.client.hostile import OID, liar
from tests.clients import Client
from tests.live import ROOT

DEMO = ROOT / "demo" / "reviews-lora"
FAILED = {"id": "tensors.not-finite", "outcome": "failed", "message": "q_proj holds 3 NaN.", "fix": "Train again."}


def document(state: str, *checks: dict, **more: object) -> dict:
    return {"adapter": "alice/x", "revision": OID, "state": state, "checks": list(checks), **more}


def test_a_verdict_is_printed_in_one_short_line():
    said = verdicts.read(document("failed", FAILED, {"id": "file.size", "outcome": "passed", "message": "x" * 9999}))
    assert repr(said) == f"<Verdict of alice/x@{OID[:12]}: failed by tensors.not-finite, 2 checks>"
    assert repr(verdicts.read({"state": "queued"})) == "<Verdict: queued, 0 checks>"


def test_a_newer_hub_may_say_more_than_we_know(here):
    with liar() as hub:
        odd = document("paused", {"id": "new.check", "outcome": "puzzled"}, None, evals=[{"name": "x"}])
        hub.says("/adapters/alice/x/revisions/main/verdict", odd)
        done = here("verdict", "alice/x", hub=hub.url)
    assert (done.returncode, done.stderr) == (6, "")
    assert "new.check" in done.stdout


@pytest.mark.engine
def test_a_push_that_waits_shows_every_check_and_ends_with_the_joint(dovetail, working_hub):
    done = dovetail("push", DEMO, "alice/proven", "--wait", hub=working_hub, who="alice")
    assert done.returncode == 0, done.stdout + done.stderr
    for check in ("file.header", "tensors.not-finite", "fit.shape", "run.no-effect", "eval.worse-than-base"):
        assert check in done.stdout
    assert "▜███████▛" in done.stdout
    assert "  adapter positive" in done.stdout  # what it says of a row, beside what the base says
    assert "passed, " in done.stdout.splitlines()[-3]  # then accuracy and macro-F1
    assert dovetail("pull", "alice/proven@verified", "--quiet", hub=working_hub).stdout == "proven\n"
    tried = dovetail("try", "alice/proven", "A fine film.", hub=working_hub, who="alice")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    rows = {label: values for label, *values in map(str.split, tried.stdout.splitlines())}
    assert rows.keys() == {"positive", "negative"}
    assert rows["positive"][0] != rows["positive"][1], "what the base says is another thing"


@pytest.mark.engine
def test_a_failed_push_says_what_why_and_what_to_do_and_exits_1(dovetail, working_hub, tmp_path):
    folder = write(with_nan()(lora(MINILM)), tmp_path / "broken")
    push = ("push", folder, "alice/broken", "--wait")
    done = dovetail(*push, hub=working_hub, who="alice")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    [at] = [number for number, line in enumerate(lines) if "✗" in line and "tensors.not-finite" in line]
    assert "fix" in lines[at + 1]
    assert lines[-1] == "failed: tensors.not-finite"
    assert dovetail(*push, "--quiet", hub=working_hub, who="alice").stdout == "failed\ntensors.not-finite\n"
    asked = dovetail("verdict", "alice/broken", "--json", hub=working_hub)
    assert asked.returncode == 1
    assert json.loads(asked.stdout)["state"] == "failed"
    assert json.loads(dovetail(*push, "--json", hub=working_hub, who="alice").stdout)["verdict"]["state"] == "failed"
    assert dovetail("check", folder).stdout.splitlines()[-1] == "failed: tensors.not-finite", "known here before a push"


VERIFIED = """
import sys, torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification
base, repo, good = sys.argv[1:]
def loaded(revision):
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(base))
    model = PeftModel.from_pretrained(model, repo, revision=revision)
    return {name: value for name, value in model.state_dict().items() if "lora" in name}
proven, named, newest = loaded("verified"), loaded(good), loaded("main")
assert proven.keys() == named.keys() == newest.keys()
assert all(torch.equal(proven[name], named[name]) for name in named)
print(any(newest[name].isnan().any() for name in newest))
"""


@pytest.mark.merge
@pytest.mark.engine
def test_peft_loads_the_revision_that_was_verified_and_not_the_one_that_failed(dovetail, working_hub, tmp_path):
    good, bad = lora(MINILM, rank=2), with_nan()(lora(MINILM, rank=2))
    done = dovetail("push", write(good, tmp_path / "good"), "alice/mended", "--wait", hub=working_hub, who="alice")
    assert done.returncode == 0, done.stdout
    oid = HfApi(working_hub.url).model_info("alice/mended").sha
    done = dovetail("push", write(bad, tmp_path / "bad"), "alice/mended", "--wait", hub=working_hub, who="alice")
    assert done.returncode == 1, done.stdout
    (config,) = working_hub.data.glob("shelf/*MiniLM*/*/config.json")
    stock = Client("e5", working_hub.url, "", tmp_path / "home", {"OMP_NUM_THREADS": "1"})
    assert stock.python(VERIFIED, config.parent, "alice/mended", oid).splitlines()[-1] == "True"


@pytest.mark.parametrize(
    ("state", "status"), [("queued", 6), ("running", 6), ("passed", 0), ("failed", 1), ("errored", 1)]
)
def test_the_exit_status_is_1_only_when_the_verdict_is_no_and_6_before(here, state, status):
    with liar() as hub:
        hub.says("/adapters/alice/x/revisions/main/verdict", document(state))
        done = here("verdict", "alice/x", hub=hub.url)
    assert done.returncode == status
    assert state in done.stdout


def test_a_message_follows_its_check_and_the_fix_follows_the_message(here):
    with liar() as hub:
        hub.says("/adapters/alice/x/revisions/v1/verdict", document("failed", FAILED))
        lines = here("verdict", "alice/x@v1", hub=hub.url).stdout.splitlines()
    assert lines[0].split(maxsplit=2) == ["✗", "tensors.not-finite", "q_proj holds 3 NaN."]
    assert lines[1].split(maxsplit=1) == ["fix", "Train again."]
    assert "██ ✗ ██" in lines[3]


def test_each_of_several_adapters_has_a_line_of_its_own(here):
    part = {"format": "peft", "kind": "lora", "proven": True}
    flags, pull = ["--lora-modules x-en@1a2b3c4=./x-1a2b3c4/en"], "dovetail pull alice/x@1a2b3c4 --to ./x-1a2b3c4"
    row = {"engine": "vllm", "outcome": "serves", "flags": flags, "commands": [pull]}
    contents = [
        {**part, "path": "en", "state": "passed", "depth": "run", "failed": [], "serves": ["vllm"], "serving": [row]},
        {**part, "path": "de", "state": "failed", "depth": "run", "failed": ["tensors.not-finite"], "serves": []},
        {**part, "path": "old", "proven": False},
    ]
    with liar() as hub:
        hub.says("/adapters/alice/x/revisions/main/verdict", document("failed", FAILED) | {"contents": contents})
        lines = here("verdict", "alice/x", hub=hub.url).stdout.splitlines()
    place = lines.index("en: passed")
    assert pull in lines[place + 1]
    assert flags[0] in " ".join(lines[place + 2 : -2])
    assert lines[-2:] == ["de: failed by tensors.not-finite", "failed: tensors.not-finite"]


def test_markup_in_a_strangers_words_is_shown_as_it_is(here):
    with liar() as hub:
        said = FAILED | {"message": "[red]x[/red] [/] :smile:"}
        hub.says("/adapters/alice/x/revisions/main/verdict", document("failed", said))
        assert "[red]x[/red] [/] :smile:" in here("verdict", "alice/x", hub=hub.url).stdout


def test_control_characters_in_a_strangers_words_reach_no_terminal(here):
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
    with liar() as hub:
        said = FAILED | {"id": f"x.y{evil}", "message": evil, "fix": evil}
        hub.says("/adapters/alice/x/revisions/main/verdict", document("failed", said, reason=evil))
        shown = [here("verdict", "alice/x", *more, hub=hub.url).stdout for more in ((), ("--json",), ("--quiet",))]
        hub.says("/adapters/alice/y/revisions/main/verdict", {"code": "x", "detail": evil, "fix": evil}, 404)
        shown.append(here("verdict", "alice/y", hub=hub.url).stderr)
    assert all(shown)
    assert not {char for text in shown for char in text} & set("\x1b\x07\x9b\u202e")


def test_a_hub_that_asks_for_patience_gets_it_once(here):
    with liar() as hub:
        slow = json.dumps({"code": "rate-limited", "detail": "Too fast.", "fix": "Wait."}).encode()
        hub.answers["/api/v1/adapters/alice/x/revisions/main/verdict"] = (429, {"Retry-After": "1"}, slow)
        done = here("verdict", "alice/x", hub=hub.url)
    assert (done.returncode, len(hub.asked)) == (5, 2)
    assert "Too fast." in done.stderr


def test_a_refused_verdict_keeps_the_hubs_sentence_and_status(here):
    with liar() as hub:
        problem = {
            "code": "verdict-not-applicable",
            "detail": "Nothing here is an adapter.",
            "fix": "Push one.",
            "status": 404,
        }
        hub.says("/adapters/alice/x/revisions/main/verdict", problem, 404)
        done = here("verdict", "alice/x", hub=hub.url)
    assert (done.returncode, done.stderr) == (4, "dovetail: Nothing here is an adapter.\n  Push one.\n")
