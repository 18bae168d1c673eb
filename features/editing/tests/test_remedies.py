"""The button "Fix it": each remedy mends its check, the page shows what changes, and the commit is judged."""

import json
from collections.abc import Mapping
from functools import partial
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from dovetail.adapters import checks
from dovetail.adapters.results.report import CheckResult
from features.editing import remedies
from features.editing.remedies import REMEDIES, Case
from registry.models import Discussion
from registry.publish import push
from registry.repos import pull
from registry.repos.contents import facts
from registry.repos.contents.card import parse_card
from registry.repos.manifest import Entry
from tests.adapters import (
    CARD,
    CONFIG,
    SABOTEURS,
    WEIGHTS,
    config,
    extra_tensor,
    lora,
    raw_config,
    tensor_pickle,
    with_file,
)
from tests.api.conftest import BASE, judged, pushed

MODULES = [f"bert.encoder.layer.{n}.attention.self.{name}" for n in (0, 1) for name in ("query", "value")]
MENDED: dict[
    str, dict[str, object]
] = {  # the saboteurs of each check that have a remedy, and what it makes of their config
    "a hostile pickle beside the weights": {},
    "a hostile pickle under an innocent name": {},
    "a pickle that cannot be read to its end": {},
    "a rank in words": {"r": 4},
    "a rank in a list": {"r": 4},
    "a way to begin that nobody knows": {"init_lora_weights": True},
    "code to import": {"megatron_config": None},
    "a foreign parent library": {"auto_mapping": None, "task_type": "SEQ_CLS"},
    "a file to open": {"prompt_tuning_init_state_dict_path": None},
    "an endless pattern": {"target_modules": MODULES},
    "a pattern that looks behind": {"target_modules": MODULES},
    "a broken pattern": {"target_modules": MODULES},
    "thousands of patterns": {"rank_pattern": None},
    "an endless rank": {"r": 4},
    "a rank of nothing": {"r": 4},
    "a rank of other weights": {"r": 4},
    "tensors that are no target": {"target_modules": ["query", "value"]},
    "no base": {"base_model_name_or_path": "tiny/bert"},
    "a local path": {"base_model_name_or_path": "tiny/bert"},
    "a path on Windows": {"base_model_name_or_path": "tiny/bert"},
}


def openers(files):
    return {path: partial(BytesIO, raw) for path, raw in files.items()}


def static(files):
    card: Mapping[str, object] = parse_card(files.get(CARD, b"").decode()).data
    return {check.id: check for check in checks.ask(checks.opened(openers(files), card))}


def fixed(files, check):
    """The files after the remedy of one check; None if it has none."""
    remedy = remedies.find(Case({}, check, openers(files)))
    if remedy is None:
        return None
    texts = remedies.change_texts(openers(files), remedy.config, remedy.card)
    return {path: raw for path, raw in {**files, **texts}.items() if path not in remedy.removed}


def after_remedy(spoilt, id, outcome="failed"):
    """Mend one check of spoilt files, which says nothing afterwards; return the config."""
    check = static(spoilt)[id]
    assert check.outcome == outcome, check
    files = fixed(spoilt, check)
    assert files is not None, f"{id} has no remedy: {check.message}"
    assert static(files)[id].outcome == "passed"
    return json.loads(files[CONFIG])


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_saboteur_is_mended_where_nobody_must_choose_and_then_passes_its_check(name):
    id, spoil = SABOTEURS[name]
    files = spoil(lora())
    check = static(files).get(id)
    if name not in MENDED:
        assert check is None or check.outcome != "failed" or fixed(files, check) is None
        return
    given = after_remedy(files, id)
    assert {key: given.get(key) for key in MENDED[name]} == MENDED[name]
    before = json.loads(files[CONFIG])
    assert {key for key in {*given, *before} if given.get(key) != before.get(key)} <= MENDED[name].keys()


@pytest.mark.parametrize(("spoil", "id", "outcome", "expected"), [
    (config(task_type="text-classification"), "config.invalid", "failed", {"task_type": "SEQ_CLS"}),
    (config(task_type="seq_cls"), "config.invalid", "failed", {"task_type": "SEQ_CLS"}),
    (config(lora_alpha="16"), "config.invalid", "failed", {"lora_alpha": 16}),
    (config(use_rslora="False"), "config.invalid", "failed", {"use_rslora": False}),
    (config(my_note="hello"), "config.invalid", "warned", {"my_note": None}),
    (config(lora_dropout=7), "config.invalid", "failed", {"lora_dropout": None}),
    (config(tokenizer_name_or_path="/home/me/x"), "config.fetch", "failed", {"tokenizer_name_or_path": None}),
    (config(base_model_name_or_path="https://huggingface.co/tiny/bert/tree/main"), "base.local-path", "failed",
     {"base_model_name_or_path": "tiny/bert"}),
    (config(target_modules=["query", "value", "key"]), "tensors.targets", "warned",
     {"target_modules": ["query", "value"]}),
    (config(target_modules=["query"], layers_to_transform=[0]), "tensors.targets", "failed",
     {"target_modules": MODULES, "layers_to_transform": None}),
    (config(rank_pattern={"query": 8}), "config.rank", "failed", {"r": 4, "rank_pattern": {}}),
    (config(modules_to_save=None, task_type=None), "tensors.replaces-base", "failed",
     {"modules_to_save": ["classifier"]}),
    (with_file("pytorch_model.bin", b"x"), "file.ambiguous", "warned", {}),
    (with_file("adapter_model.bin", tensor_pickle()), "file.twins-differ", "warned", {}),
])  # fmt: skip
def test_what_is_written_otherwise_than_it_is_meant_is_set(spoil, id, outcome, expected):
    given = after_remedy(spoil(lora()), id, outcome)
    assert {key: given.get(key) for key in expected} == expected


def test_parts_beside_whole_weights_are_taken_out_only_if_the_weights_hold_all_of_them():
    part = "adapter_model-00001-of-00002.safetensors"
    files = {**lora(), part: lora()[WEIGHTS]}
    assert part not in fixed(files, static(files)["file.ambiguous"])
    files[part] = extra_tensor("base_model.model.another.lora_A.weight")(lora())[WEIGHTS]
    assert fixed(files, static(files)["file.ambiguous"]) is None


def test_dora_is_switched_on_where_every_module_has_its_magnitudes():
    files = lora(dora=True)
    spoilt = config(use_dora=False)(files)
    assert after_remedy(spoilt, "tensors.pair")["use_dora"] is True


def test_a_card_gets_one_line_and_keeps_every_other_one():
    readme = b"---\n# mine\ntags: [a,   b]\n---\n# Reviews\n"
    files = {**lora(), CARD: readme, CONFIG: config(base_model_name_or_path="bert-base-uncased")(lora())[CONFIG]}
    changed = remedies.change_texts(openers(files), {}, {"license": "apache-2.0"})
    assert changed == {CARD: readme.replace(b"---\n#", b"---\nlicense: apache-2.0\n#", 1)}


def test_a_config_keeps_its_order_and_its_form():
    text = b'{"r": 16, "lora_alpha": 8, "a": "b"}'
    changed = remedies.change_texts({CONFIG: partial(BytesIO, text)}, {"r": 8}, {})
    assert changed == {CONFIG: text.replace(b"16", b"8")}


@pytest.mark.parametrize("readme", [b"---\nlicense: [\n---\n", b"# " + b"x" * (1 << 20), b"# \xff"])
def test_a_card_that_cannot_be_kept_is_left_alone(db, readme):
    files = {**config(base_model_name_or_path="bert-base-uncased")(lora()), CARD: readme}
    check = CheckResult("card.license", "warned", "m", "f", {}, 0)
    assert fixed(files, check) is None


@pytest.mark.parametrize("spoil", [config(peft_type="TELEPATHY", target_modules="(((x"), raw_config(b'{"config": {}}')])
def test_a_method_or_a_library_that_is_not_known_has_no_remedy_of_its_config(db, spoil):
    for id in REMEDIES:
        check = CheckResult(id, "failed", "m", "f", {"keys": ["target_modules"]}, 0)
        assert fixed(spoil(lora()), check) is None or id.startswith(("card.", "privacy.", "file."))


def test_every_check_of_the_table_is_known():
    assert {entry.id for entry in checks.CHECKS} >= set(REMEDIES)


def test_a_check_of_an_adapter_in_a_folder_is_left_alone():
    check = CheckResult("config.rank", "failed", "m", "f", {"path": "two"}, 0)
    assert remedies.find(Case(dict[str, Entry](), check, openers(lora()))) is None


# --- the pages -------------------------------------------------------------------------------------------------------
RANK = {"id": "config.rank", "outcome": "failed", "message": "It has rank 4, not 8.", "fix": "Set r to 4."}
FIX = "/alice/reviews/fix/main?check=config.rank"


@pytest.fixture
def spoilt(cast):
    made = cast.repository("alice/reviews")
    head = pushed(cast, made, files={**config(r=8, base_model_name_or_path=BASE)(lora())})
    judged(head, "failed", checks=[RANK])
    return made


def rank_of(revision):
    return facts.read_facts(pull.entries(revision)).config["r"]


def text_of(answer):
    return " ".join(answer.content.decode().split())


def test_an_owner_sees_the_change_first_and_then_stands_before_the_verdict_of_the_commit(ask, spoilt):
    alice, before = ask("alice"), spoilt.refs.get(name="refs/heads/main").revision
    for page in ("/alice/reviews", "/alice/reviews/verdict/main"):
        assert FIX in text_of(alice.get(page))
    shown = text_of(alice.get(FIX))
    assert "Set r to 4 in adapter_config.json" in shown
    assert "Commit the fix" in shown
    assert spoilt.refs.get(name="refs/heads/main").revision == before, "to look at it changes nothing"
    done = alice.post(FIX, {"title": "", "message": "", "where": "branch"})
    assert done["Location"] == "/alice/reviews/verdict/main"
    head = spoilt.refs.get(name="refs/heads/main").revision
    assert (rank_of(head), head.parent, head.title) == (4, before, "Set r to 4 in adapter_config.json")
    again = alice.get(FIX)
    assert again.status_code == 302, "there is nothing to fix any more"


def test_others_propose_it_once(ask, spoilt):
    carol = ask("carol")
    assert "Propose this fix" in text_of(carol.get("/alice/reviews/verdict/main"))
    first = carol.post(FIX, {"title": "", "message": ""})
    assert first["Location"] == "/alice/reviews/discussions/1"
    assert "Pull request #1" in text_of(ask("alice").get(FIX))
    assert carol.post(FIX, {"title": "", "message": ""})["Location"] == first["Location"]
    assert rank_of(spoilt.refs.get(name="refs/pr/1").revision) == 4
    assert Discussion.objects.filter(repository=spoilt).count() == 1


def test_strangers_get_no_button_and_are_asked_to_sign_in(client, ask, spoilt):
    assert "/fix/main" not in text_of(client.get("/alice/reviews/verdict/main"))
    assert "/login" in client.get(FIX)["Location"]


def test_a_proposal_is_fixed_where_it_stands_by_its_author(ask, cast, spoilt):
    worse = push.Inline(CONFIG, config(r=16, base_model_name_or_path=BASE)(lora())[CONFIG])
    ref = push.receive(push.Intent(spoilt, "refs/heads/main", cast.session("carol"), "Worse", propose=True), [worse])
    judged(ref.revision, "failed", checks=[RANK])
    address = "/alice/reviews/fix/refs/pr/1?check=config.rank"
    for who in ("carol", "alice"):
        assert address in text_of(ask(who).get("/alice/reviews/discussions/1"))
    assert "/fix/" not in text_of(ask("bob").get("/alice/reviews/discussions/1"))
    done = ask("carol").post(address, {"title": "", "message": ""})
    assert done["Location"] == "/alice/reviews/discussions/1"
    assert rank_of(spoilt.refs.get(name="refs/pr/1").revision) == 4


def test_files_that_wait_for_their_commit_are_fixed_in_place(ask, cast):
    made, alice = cast.repository("alice/new"), ask("alice")
    sent = [SimpleUploadedFile(path, raw) for path, raw in config(r=8)(lora()).items()]
    shown = alice.post("/alice/new/upload/main", {"files": sent})
    assert 'name="fix" value="config.rank" formaction="/alice/new/upload/main/fix"' in text_of(shown)
    staged = shown.context["staged_list"]
    fixed = alice.post("/alice/new/upload/main/fix", {"staged": staged, "fix": "config.rank"})
    assert "<h3>Fixed</h3>" in text_of(fixed)
    assert 'name="fix"' not in text_of(fixed)
    assert made.refs.get(name="refs/heads/main").revision.parent is None, "nothing is committed yet"
    form = {"staged": fixed.context["staged_list"], "title": "", "message": "", "commit": "yes", "card-text": "# New"}
    assert alice.post("/alice/new/upload/main", form)["Location"] == "/alice/new/verdict/main"
    assert rank_of(made.refs.get(name="refs/heads/main").revision) == 4
    assert alice.get("/alice/new/upload/main/fix")["Location"] == "/alice/new/upload/main"


def test_what_waits_for_its_base_is_checked_and_fixed_meanwhile(ask, cast):
    made, alice = cast.repository("alice/waiting"), ask("alice")
    pushed(cast, made, files=config(r=8, base_model_name_or_path="far/away")(lora()))
    fix = "/alice/waiting/fix/main"
    for page in ("/alice/waiting", "/alice/waiting/verdict/main"):
        assert f'hx-get="{fix}"' in text_of(alice.get(page))
        assert fix not in text_of(ask("carol").get(page))
    checks = text_of(alice.get(fix, headers={"HX-Request": "true"}))
    assert "static checks passed" in checks
    assert f"{fix}?check=config.rank" in checks
    assert "Set r to 4 in adapter_config.json" in text_of(alice.get(fix)), "without scripts"
    done = alice.post(f"{fix}?check=config.rank", {"title": "", "message": "", "where": "branch"})
    assert done["Location"] == "/alice/waiting/verdict/main"
    assert rank_of(made.refs.get(name="refs/heads/main").revision) == 4
    assert "Nothing to fix." in text_of(alice.get(fix, headers={"HX-Request": "true"}))


def test_the_small_verdict_of_other_pages_follows_until_it_is_there(ask, spoilt):
    alice = ask("alice")
    alice.post(FIX, {"title": "", "message": "", "where": "branch"})
    assert "/alice/reviews/verdict/main?head=yes" in text_of(alice.get("/alice/reviews/tree/main"))
    assert 'hx-get="/alice/reviews/verdict/main?head=yes"' in text_of(alice.get("/alice/reviews/verdict/main?head=yes"))
    judged(spoilt.refs.get(name="refs/heads/main").revision, "passed")
    assert "hx-get" not in text_of(alice.get("/alice/reviews/verdict/main?head=yes"))
