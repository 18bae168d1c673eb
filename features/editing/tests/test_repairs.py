"""POST …/repair: the config with its base named, as a pull request of who asks; and the pages that offer it."""

import io
import json
import math
import struct

import pytest
from django.test import Client

from dovetail.adapters.files import header as headers
from registry.bytes.blobs import Keys, store
from registry.models import Discussion
from registry.publish import push
from tests.api.conftest import BASE, judged, pushed
from tests.fit.bases import BERT, BERT_CONFIG, LLAMA_8B, bert_lora, decoder_lora, header_of, lora_config
from tests.fit.conftest import known, measured  # noqa: F401 - fixtures

pytestmark = pytest.mark.engine
ADDRESS = "/api/v1/adapters/alice/reviews"
PATH = "/home/alice/checkpoints/bert"


def weights(shapes):
    header = json.dumps(header_of(shapes)).encode()
    return struct.pack("<Q", len(header)) + header + bytes(2 * sum(math.prod(shape) for shape in shapes.values()))


def files(config, shapes):
    return {
        "README.md": b"# Reviews\n",
        "adapter_config.json": json.dumps(config).encode(),
        "adapter_model.safetensors": weights(shapes),
    }


@pytest.fixture
def lost(cast, known):
    """alice/reviews, trained on BERT, whose config names a folder of hers."""
    made = cast.repository("alice/reviews")
    pushed(cast, made, files=files(BERT_CONFIG | {"base_model_name_or_path": PATH}, bert_lora()))
    return made


def repair(asking, **body):
    return asking.post(f"{ADDRESS}/repair", body, "application/json")


def merge(cast, repository):
    """Merge the only pull request, as its owner does on the website."""
    alice = Client()
    alice.force_login(cast["alice"])
    assert alice.post(f"/{repository}/discussions/1/merge").status_code == 302
    assert Discussion.objects.get(repository=repository).status == "merged"


def config_of(revision):
    entry = revision.files.get(path="adapter_config.json")
    with store().open(Keys.blob(entry.sha256)) as file:
        return json.loads(file.read())


def test_a_path_becomes_the_one_base_that_it_fits_in_a_pull_request_of_who_asks(ask, cast, lost):
    before = lost.refs.get(name="refs/heads/main").revision
    answer = repair(ask("alice", "write"))
    assert answer.status_code == 201, answer.content
    said = answer.json()
    assert (said["base"], said["number"]) == (BERT, 1)
    found = Discussion.objects.get(repository=lost, number=1)
    assert (found.author.username, found.status, found.is_pull_request) == ("alice", "open", True)
    assert PATH in found.events.first().text
    assert lost.refs.get(name="refs/heads/main").revision == before, "what is pushed stays as it is"
    proposed = lost.refs.get(name="refs/pr/1").revision
    assert proposed.oid == said["revision"]
    assert config_of(proposed) == config_of(before) | {"base_model_name_or_path": BERT}
    others = {"README.md", "adapter_model.safetensors"}
    assert {f.path: f.sha256 for f in proposed.files.filter(path__in=others)} == {
        f.path: f.sha256 for f in before.files.filter(path__in=others)
    }
    verdict = proposed.verdicts.get()
    assert (verdict.base, verdict.state) == (BERT, "queued"), "it is proven before anybody merges it"


def test_asking_twice_opens_one_pull_request_and_a_merged_one_leaves_nothing_to_repair(ask, cast, lost):
    first = repair(ask("alice", "write")).json()
    again = repair(ask("bob", "write"))
    assert (again.status_code, again.json()) == (200, first)
    merge(cast, lost)
    done = repair(ask("alice", "write"))
    assert (done.status_code, done.json()["code"]) == (400, "value-invalid")
    assert "there is nothing to repair" in done.json()["detail"]


def wrapped(files, parts=1):
    """The same adapter with DDP's prefix, in so many parts."""
    shapes = {f"module.{name}": shape for name, shape in bert_lora().items()}
    rest = {path: data for path, data in files.items() if path != "adapter_model.safetensors"}
    if parts == 1:
        return rest | {"adapter_model.safetensors": weights(shapes)}
    halves = [dict(list(shapes.items())[at::parts]) for at in range(parts)]
    names = [f"adapter_model-0000{at + 1}-of-0000{parts}.safetensors" for at in range(parts)]
    return rest | dict(zip(names, map(weights, halves), strict=True))


@pytest.mark.parametrize("parts", [1, 2])
def test_weights_of_a_wrapped_model_and_in_parts_are_saved_as_peft_looks_for_them(ask, cast, known, parts):
    made = cast.repository("alice/reviews")
    honest = files(BERT_CONFIG, bert_lora())
    pushed(cast, made, files=wrapped(honest, parts))
    before = made.refs.get(name="refs/heads/main").revision
    check = {"id": "fit.missing" if parts == 1 else "file.missing", "outcome": "failed", "message": "m", "fix": "f"}
    judged(before, "failed", checks=[check])
    address = f"/alice/reviews/fix/main?check={check['id']}"
    assert address in ask("alice").get("/alice/reviews").content.decode()
    page = ask("alice").get(address).content.decode()
    assert ("tensors are renamed" in page, "parts are joined" in page) == (True, parts == 2)
    answer = repair(ask("alice", "write"))
    assert (answer.status_code, answer.json()["base"]) == (201, BERT), answer.content
    assert answer.json()["title"] == "Save the weights as PEFT looks for them"
    assert (repair(ask("alice", "write")).status_code, Discussion.objects.count()) == (200, 1)
    proposed = made.refs.get(name="refs/pr/1").revision
    assert set(proposed.files.values_list("path", flat=True)) == {*honest, ".gitattributes"}
    entry = proposed.files.get(path="adapter_model.safetensors")
    with store().open(Keys.blob(entry.sha256)) as file:
        assert headers.read(io.BytesIO(file.read())).tensors.keys() == bert_lora().keys()
    assert proposed.verdicts.get().state == "queued", "it is proven before anybody merges it"
    merge(cast, made)
    assert "there is nothing to repair" in repair(ask("alice", "write")).json()["detail"]


def test_a_pull_request_of_somebody_else_with_the_same_title_is_not_taken_for_the_repair(ask, cast, known):
    made = cast.repository("alice/reviews")
    pushed(cast, made, files=wrapped(files(BERT_CONFIG, bert_lora())))
    judged(made.refs.get(name="refs/heads/main").revision, "failed",
           checks=[{"id": "fit.missing", "outcome": "failed", "message": "m", "fix": "f"}])  # fmt: skip
    other = push.Inline("adapter_model.safetensors", weights({"base_model.model.x.lora_A.weight": (1, 2)}))
    title = "Save the weights as PEFT looks for them"
    push.receive(push.Intent(made, "refs/heads/main", cast.session("carol"), title, propose=True), [other])
    answer = repair(ask("alice", "write"))
    assert (answer.status_code, answer.json()["number"]) == (201, 2)
    again = repair(ask("bob", "write"))
    assert (again.status_code, again.json()["number"]) == (200, 2), "exactly these weights are proposed already"


def test_weights_that_would_not_fit_their_base_either_are_not_renamed(ask, cast, known):
    made = cast.repository("alice/reviews")
    shapes = {f"module.{name}": tuple(3 * size for size in shape) for name, shape in bert_lora().items()}
    pushed(cast, made, files=files(BERT_CONFIG, shapes))
    assert repair(ask("alice", "write")).status_code == 400


def test_whoever_may_propose_may_repair_and_strangers_learn_nothing(ask, cast, lost, known):
    assert repair(ask()).status_code == 401
    assert repair(ask("alice", "read")).status_code == 403
    assert repair(ask("carol", "write")).status_code == 201
    assert Discussion.objects.get(repository=lost).author.username == "carol"
    secret = cast.repository("acme/secret", private=True)
    pushed(cast, secret, files=files(BERT_CONFIG | {"base_model_name_or_path": PATH}, bert_lora()))
    hidden = ask("carol", "write").post("/api/v1/adapters/acme/secret/repair", {}, "application/json")
    missing = ask("carol", "write").post("/api/v1/adapters/acme/nothing/repair", {}, "application/json")
    assert (hidden.status_code, hidden.json()["code"]) == (missing.status_code, missing.json()["code"]) == (
        404, "adapter-not-found",
    )  # fmt: skip


def test_where_several_bases_fit_the_caller_says_which(ask, cast, known):
    made = cast.repository("alice/reviews")
    config = lora_config(LLAMA_8B, 1, base_model_name_or_path="./llama", target_modules=["q_proj"])
    shapes = {name: shape for name, shape in decoder_lora(LLAMA_8B, 1).items() if ".q_proj." in name}
    pushed(cast, made, files=files(config, shapes))
    asking = ask("alice", "write")
    refused = repair(asking)
    assert refused.status_code == 400
    assert LLAMA_8B in refused.json()["detail"]
    assert "--base of `dovetail repair`" in refused.json()["fix"]
    assert repair(asking, base=BERT).status_code == 400, "it does not fit that"
    assert repair(asking, base="unsloth/llama-3-8b").json()["base"] == LLAMA_8B, "another name of it will do"


def test_what_fits_nothing_is_not_told_to_choose(ask, cast, known):
    made = cast.repository("alice/reviews")
    shapes = {name: tuple(3 * size for size in shape) for name, shape in bert_lora().items()}
    pushed(cast, made, files=files(BERT_CONFIG | {"base_model_name_or_path": PATH}, shapes))
    said = repair(ask("alice", "write")).json()
    assert "fits no base" in said["detail"]
    assert "base=" not in said["fix"]
    assert "Set base_model_name_or_path in adapter_config.json" in said["fix"]


@pytest.mark.parametrize("named", ["bert-base-uncased", "google-bert/bert-base-uncased-bnb-4bit"])
def test_an_old_name_and_a_quantised_copy_become_the_name_of_the_base(ask, cast, known, named):
    made = cast.repository("alice/reviews")
    pushed(cast, made, files=files(BERT_CONFIG | {"base_model_name_or_path": named, "revision": "abc"}, bert_lora()))
    made.refresh_from_db()
    assert made.base == BERT, "lists know it by the name of the base"
    assert repair(ask("alice", "write")).status_code == 201
    kept = config_of(made.refs.get(name="refs/pr/1").revision)
    assert kept["base_model_name_or_path"] == BERT
    assert kept["revision"] == (None if "4bit" in named else "abc"), "a commit of the copy is none of the base"


def test_a_session_without_a_csrf_token_opens_nothing(ask, lost):
    assert repair(ask("alice", csrf=True)).status_code == 403
    assert not Discussion.objects.exists()


TOKEN = "hf_" + "a" * 34


def leaking(files):
    header = header_of(bert_lora()) | {"__metadata__": {"format": "pt", "ss_session_id": "7"}}
    tensors = files["adapter_model.safetensors"]
    raw = json.dumps(header).encode()
    return files | {
        "README.md": f"# Reviews\nLog in with {TOKEN}.\n".encode(),
        "adapter_model.safetensors": struct.pack("<Q", len(raw))
        + raw
        + tensors[8 + int.from_bytes(tensors[:8], "little") :],
        "optimizer.pt": b"x",
        "cut.env": b"-----BEGIN RSA PRIVATE KEY-----\n",
    }


def test_private_data_is_removed_in_a_pull_request_that_names_what_is_left(ask, cast):
    made = cast.repository("alice/reviews")
    honest = files(BERT_CONFIG | {"base_model_name_or_path": BASE}, bert_lora())
    pushed(cast, made, files=leaking(honest))
    before = made.refs.get(name="refs/heads/main").revision
    places = [{"file": "README.md", "kind": "a Hugging Face token", "line": 2}]
    check = {"id": "privacy.secret", "outcome": "warned", "message": "m", "fix": "f", "where": {"findings": places}}
    judged(before, "passed", checks=[check])
    address = "/alice/reviews/fix/main?check=privacy.secret"
    assert address in ask("alice").get("/alice/reviews").content.decode()
    assert address not in ask("carol").get("/alice/reviews/verdict/main").content.decode()
    assert "[removed]" in ask("alice").get(address).content.decode()
    answer = repair(ask("alice", "write"))  # nothing else is to be repaired
    assert (answer.status_code, answer.json()["title"]) == (201, "Remove private data"), answer.content
    again = repair(ask("alice", "write"), privacy=True)
    assert (again.status_code, again.json()) == (200, answer.json())
    text = Discussion.objects.get(repository=made).events.first().text
    removed, left = text.split("Left, to be changed by hand:")
    assert all(f"`{path}`" in removed for path in ("README.md", "adapter_model.safetensors", "optimizer.pt"))
    assert "`cut.env (line 1)`: a private key" in left
    assert "Earlier commits still hold these bytes" in left
    assert "Revoke every token" in left
    assert TOKEN not in text
    proposed = made.refs.get(name="refs/pr/1").revision
    assert set(proposed.files.values_list("path", flat=True)) == {*honest, "cut.env", ".gitattributes"}
    with store().open(Keys.blob(proposed.files.get(path="README.md").sha256)) as file:
        assert file.read() == b"# Reviews\nLog in with [removed].\n"
    with store().open(Keys.blob(proposed.files.get(path="adapter_model.safetensors").sha256)) as file:
        rewritten = headers.read(io.BytesIO(file.read()))
    assert (rewritten.metadata, rewritten.tensors.keys()) == ({"format": "pt"}, bert_lora().keys())
    assert made.refs.get(name="refs/heads/main").revision == before, "what is pushed stays as it is"
    merge(cast, made)
    done = repair(ask("alice", "write"), privacy=True)
    assert done.status_code == 400
    assert "`cut.env (line 1)`: a private key" in done.json()["detail"], "a merged one leaves what it could not remove"
    assert "there is nothing to repair" in repair(ask("alice", "write")).json()["detail"]


def test_a_base_that_is_a_home_folder_is_left_to_the_repair_that_names_the_base(ask, cast):
    made = cast.repository("alice/reviews")
    pushed(cast, made, files=files(BERT_CONFIG | {"base_model_name_or_path": PATH}, bert_lora()))
    refused = repair(ask("alice", "write"), privacy=True)
    assert refused.status_code == 400
    assert "in the name of its base" in refused.json()["detail"]
    assert not Discussion.objects.exists()
