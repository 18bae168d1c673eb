"""Every check has a remedy, whose button works wherever it is shown, or a reason why only its author mends it."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.html import escape

from dovetail.adapters import checks
from features.editing import examinations
from features.editing.remedies import REMEDIES
from features.editing.tests.test_remedies import text_of
from registry.models import Base, Repository
from registry.publish import push
from registry.repos import pull
from tests.adapters import (
    CARD,
    WEIGHTS,
    config,
    lora,
    renamed,
    tensor_pickle,
    with_file,
    with_pickle,
)
from tests.api.conftest import FILES, judged, pushed

RETRAIN = "only training gives other values"
CHOICE = "its author knows alone what was meant"
OURS = "the hub's machine or base, not the files"
BY_HAND = {
    "file.header": "bytes are missing or broken: the file must be saved again",
    "file.size": RETRAIN,
    "config.missing": CHOICE,
    "config.changes-base": "the weights of the base before training are not here: PEFT converts them",
    "config.kind": "no engine here runs it",
    "tensors.dtype": "a conversion changes values",
    "tensors.not-finite": RETRAIN,
    "tensors.layers": CHOICE,
    "tensors.all-zero": RETRAIN,
    "tensors.scale": RETRAIN,
    "base.unknown": OURS,
    "base.vocabulary": CHOICE,
    "base.chat-template": CHOICE,
    "eval.random-head": RETRAIN,
    "card.base": CHOICE,
    "card.task": CHOICE,
    "run.not-here": "no engine here runs it",
    "load.error": CHOICE,
    "load.changed-base": CHOICE,
    **dict.fromkeys(("run.not-finite", "run.no-effect", "run.not-deterministic", "run.random-weights"), RETRAIN),
    **dict.fromkeys(("run.cost", "run.merge"), RETRAIN),
    **dict.fromkeys(("eval.worse-than-base", "eval.regression", "eval.expected"), RETRAIN),
    **dict.fromkeys(("eval.neutral", "eval.degenerate"), RETRAIN),
    **dict.fromkeys(("eval.claim", "eval.rows"), CHOICE),
    **dict.fromkeys(("limits.time", "limits.memory", "engine.check-crashed"), OURS),
}
DORA = config(use_dora=False)
# Files that each remedy is shown with: this check fails or notes them, and the page can tell it without a base.
SPOILT = {
    "file.pickle": with_pickle()(lora()),
    "file.missing": {k: v for k, v in lora().items() if k != WEIGHTS}
    | {"adapter_model-00001-of-00001.safetensors": lora()[WEIGHTS]},
    "file.ambiguous": with_file("pytorch_model.bin", b"x")(lora()),
    "file.twins-differ": with_file("adapter_model.bin", tensor_pickle())(lora()),
    "config.invalid": config(r="4")(lora()),
    "config.code": config(megatron_config={"x": 1}, megatron_core="os")(lora()),
    "config.fetch": config(tokenizer_name_or_path="/home/me/x")(lora()),
    "config.pattern": config(target_modules="(((query")(lora()),
    "config.rank": config(r=8)(lora()),
    "tensors.unused": renamed("base_model.model.", "module.base_model.model.")(lora()),
    "tensors.replaces-base": config(modules_to_save=None, task_type=None)(lora()),
    "tensors.pair": DORA(lora(dora=True)),
    "tensors.targets": config(target_modules=["query", "value", "key"])(lora()),
    "base.unnamed": config(base_model_name_or_path=None)(lora()),
    "base.local-path": config(base_model_name_or_path="/home/me/bert")(lora()),
    "card.license": config(base_model_name_or_path="bert-base-uncased")(lora()) | {CARD: b"# Mine\n"},
    "privacy.secret": with_file("notes.md", b"token hf_" + b"a1B2c3D4e5" * 3 + b"f6G7\n")(lora()),
    "privacy.training-data": with_file("optimizer.pt", b"x")(lora()),
}
# Their findings need the shapes of a known base: test_repairs.py has them.
WITH_A_BASE = {"base.mismatch", "base.quantised", "base.unpinned", "fit.missing", "fit.unexpected", "fit.shape"}


def loud(entries, id):
    found = {check.id: check for check in examinations.examine(entries, {}).checks}
    return found[id] if id in found and found[id].outcome in ("failed", "warned") else None


def test_the_table_is_complete():
    everything = {entry.id for entry in checks.CHECKS}
    assert everything == REMEDIES.keys() | BY_HAND.keys()
    assert not REMEDIES.keys() & BY_HAND.keys()
    assert SPOILT.keys() | WITH_A_BASE == REMEDIES.keys()


@pytest.mark.parametrize("id", SPOILT)
def test_the_button_mends_its_check_in_an_upload(ask, cast, id):
    alice, files = ask("alice"), SPOILT[id]
    for path, raw in files.items():
        alice.post("/upload/files", {"path": path, "files": SimpleUploadedFile(path, raw)})
    page = text_of(alice.get("/upload"))
    assert f'name="fix" value="{id}" formaction="/upload/fix"' in page
    fields = {
        "card-text": "# Mine\n",
        "card-license": "",
        "card-base": "tiny/bert",
        "name": "mended",
        "visibility": "private",
    }
    fixed = text_of(alice.post("/upload/fix", {"fix": id, **fields}))
    assert "<h3>Fixed</h3>" in fixed
    license = re.search(r'name="card-license" value="([^"]*)"', fixed)
    given = {"card-license": license[1]} if license else {}
    done = alice.post("/upload", {**fields, **given, "publish": "yes"})
    assert done.status_code == 302, text_of(done)
    head = pull.resolve(Repository.objects.get(name="mended"), "main")
    assert loud(pull.entries(head), id) is None


@pytest.mark.parametrize("where", ["verdict", "pull request"])
@pytest.mark.parametrize("id", SPOILT)
def test_the_button_mends_its_check_after_a_commit(ask, cast, id, where):
    made, alice = cast.repository("alice/reviews"), ask("alice")
    for base in ("tiny/bert", "bert-base-uncased", "google-bert/bert-base-uncased"):
        Base.objects.get_or_create(id=base, defaults={"revision": "r", "sha256": "0" * 64})
    if where == "verdict":
        revision, page, rev = pushed(cast, made, files=SPOILT[id]), "/alice/reviews/verdict/main", "main"
    else:
        pushed(cast, made)
        intent = push.Intent(made, "refs/heads/main", cast.session("alice"), "Other", propose=True)
        inline = [push.Inline(path, raw) for path, raw in SPOILT[id].items()]
        inline += [push.Deletion(path) for path in FILES.keys() - SPOILT[id].keys()]
        revision, page, rev = push.receive(intent, inline).revision, "/alice/reviews/discussions/1", "refs/pr/1"
    check = loud(pull.entries(revision), id)
    told = {"id": id, "outcome": check.outcome, "message": check.message, "fix": check.fix, "where": check.where}
    state = "failed" if check.outcome == "failed" else "passed"
    judged(revision, state, checks=[told])
    address = f"/alice/reviews/fix/{rev}?check={id}"
    assert escape(address) in text_of(alice.get(page))
    shown = text_of(alice.get(address))
    assert "What changes" in shown
    done = alice.post(address, {"title": "", "message": "", "where": "branch"})
    assert done.status_code == 302, text_of(done)
    head = pull.resolve(made, rev)
    assert head != revision
    assert loud(pull.entries(head), id) is None
