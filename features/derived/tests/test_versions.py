"""Derived versions from the request to the commit, made by the real process in its jail."""

import json
import struct
from collections.abc import Callable

import pytest

from dovetail.adapters.convert import diffusers
from dovetail.adapters.merge import Recipe
from features.derived import claims, jobs, verbs
from features.derived.models import DerivedVersion
from features.derived.verbs import Origin
from registry.kernel.errors import NotAllowed, QuotaExceeded, RepositoryNotFound, RevisionNotFound, ValueInvalid
from registry.models import Base, Repository, Revision
from registry.moderation import quarantine
from registry.proof.verdicts.requests import latest
from registry.publish import push
from registry.publish.push import MAIN, Inline, Intent
from registry.repos import pull, refs
from registry.talk import dispatch
from tests.adapters import CONFIG, TINY_BERT, TINY_LLAMA, WEIGHTS, card, lora, pack, unpack

LLAMA = {"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 4, "architectures": ["LlamaModel"]}


@pytest.fixture
def publish(cast) -> Callable[..., Revision]:
    """Push an adapter to a repository, which is made if it is not there."""

    def one(full_name: str, files: dict[str, bytes] | None = None, by: str = "alice", **more) -> Revision:
        name = full_name.partition("/")[2]
        repository = Repository.objects.filter(name=name).first() or cast.repository(full_name, by=by, **more)
        content = [Inline(path, data) for path, data in (files or lora(TINY_LLAMA, task="CAUSAL_LM")).items()]
        revision = push.receive(Intent(repository, MAIN, cast.session(by), "weights"), content).revision
        revision.repository = repository
        return revision

    return one


@pytest.fixture
def llama(db) -> Base:
    return Base.objects.create(id=TINY_LLAMA.id, revision="r", sha256="0" * 64, config=LLAMA, has_weights=False)


def read(revision: Revision, path: str) -> bytes:
    entry = pull.find_file(revision, path)
    return pull.open_bytes(entry, 0, entry.size).read()


def made(row: DerivedVersion) -> DerivedVersion:
    jobs.work()
    return DerivedVersion.objects.select_related("revision__repository").get(pk=row.pk)


def test_a_conversion_is_one_commit_on_a_branch_of_its_own_with_its_lineage(cast, publish, llama, tmp_path):
    source, alice = publish("alice/reviews"), cast.session("alice")
    row = verbs.request_conversion(source, "gguf", alice)
    assert (row.state, row.ref) == ("queued", "refs/heads/derived/gguf")
    done = made(row)
    assert (done.state, done.reason) == ("done", "")
    assert refs.resolve_ref(done.repository, done.ref) == done.revision
    assert done.revision.parent == source
    files = pull.entries(done.revision)
    assert set(files) == {".gitattributes", "README.md", "adapter.gguf", "derived.json"}
    assert files["adapter.gguf"].is_lfs
    assert json.loads(read(done.revision, "derived.json")) == {
        "derived_from": [{"adapter": "alice/reviews", "revision": source.oid}], "method": "gguf", "options": {},
        "lossless": True,
    }  # fmt: skip
    verdict = latest(done.revision)
    assert (verdict.state, verdict.format) == ("queued", "gguf"), "it is proven like a push"
    assert pull.resolve(source.repository, "main") == source, "the original stays what it is"
    assert verbs.made_of(done.revision) == done
    assert verbs.made_from(source, cast.session("carol")) == [done]
    with pytest.raises(NotAllowed, match="Another worker"):
        claims.commit(claims.open_work(done), tmp_path, {})
    assert refs.resolve_ref(done.repository, done.ref) == done.revision, "a worker whose lease ended commits nothing"
    again = verbs.request_conversion(source, "gguf", alice)
    assert (again.pk, again.state, DerivedVersion.objects.count()) == (done.pk, "done", 1)


def test_a_merge_is_the_next_version_of_the_repository_that_is_named(cast, publish):
    one = publish("alice/one", lora(TINY_LLAMA, task="CAUSAL_LM", seed=1))
    two = publish("bob/two", lora(TINY_LLAMA, task="CAUSAL_LM", seed=2, rank=2), by="bob")
    into = cast.repository("alice/both")
    origins = [Origin(one, 0.5), Origin(two, 2.0)]
    done = made(verbs.request_merge(origins, Recipe("cat"), cast.session("alice"), into))
    assert (done.state, done.reason) == ("done", "")
    assert refs.resolve_ref(into, MAIN) == done.revision
    assert json.loads(read(done.revision, CONFIG))["r"] == 6
    assert len(unpack(read(done.revision, WEIGHTS))) == 8
    assert [(source.name, source.oid, source.weight) for source in done.sources.all()] == [
        ("alice/one", one.oid, 0.5), ("bob/two", two.oid, 2.0),
    ]  # fmt: skip
    card = read(done.revision, "README.md").decode()
    assert f'base_model: "{TINY_LLAMA.id}"' in card
    assert f"`bob/two@{two.oid}`, weight 2" in card
    assert latest(done.revision).base == TINY_LLAMA.id


@pytest.mark.merge
def test_a_merge_of_classifiers_keeps_the_head_that_was_chosen(cast, publish):
    one, two = (lora(TINY_BERT, seed=seed, labels=3) for seed in (1, 2))
    origins = [Origin(publish("alice/one", one)), Origin(publish("bob/two", two, by="bob"))]
    alice, into = cast.session("alice"), cast.repository("alice/both")
    refused = made(verbs.request_merge(origins, Recipe("svd"), alice, into))
    assert (refused.state, "--head bob/two" in refused.reason) == ("refused", True)
    chosen = verbs.chosen_head("bob/two", origins)
    done = made(verbs.request_merge(origins, Recipe("svd", head=chosen), alice, into))
    assert (done.state, done.reason) == ("done", "")
    name = "base_model.model.classifier.weight"
    assert unpack(read(done.revision, WEIGHTS))[name] == unpack(two[WEIGHTS])[name]
    with pytest.raises(ValueInvalid, match="not 'bob/three'"):
        verbs.chosen_head("bob/three", origins)


def loralib(**more) -> dict[str, bytes]:
    """Return a file of loralib for q and v of the fused layers of a GPT-2, and its card."""
    pairs = {f"transformer.h.{layer}.attn.c_attn.lora_{side}": ("F32", shape, bytes(4 * shape[0] * shape[1]))
             for layer in range(2) for side, shape in (("A", (8, 32)), ("B", (64, 4)))}  # fmt: skip
    return {"lora.safetensors": pack(pairs), "README.md": card("tiny/gpt2", **more)}


def test_a_file_of_loralib_becomes_pefts_with_the_alpha_that_the_card_or_the_request_says(cast, publish):
    alice = cast.session("alice")
    silent, speaking = (
        publish("alice/silent", loralib()),
        publish("alice/speaking", loralib(lora_alpha=16, enable_lora=[True, False, True])),
    )
    refused = made(verbs.request_conversion(silent, "peft", alice))
    assert (refused.state, "--alpha" in refused.reason) == ("refused", True)
    asked = {"alpha": 16.0, "enable_lora": "true,false,true"}
    for row in (
        verbs.request_conversion(silent, "peft", alice, asked=asked),
        verbs.request_conversion(speaking, "peft", alice),
    ):
        done = made(row)
        assert (done.state, done.reason) == ("done", "")
        config = json.loads(read(done.revision, CONFIG))
        assert (config["r"], config["lora_alpha"], config["fan_in_fan_out"]) == (8, 32, True)
        assert config["base_model_name_or_path"] == "tiny/gpt2"
        assert latest(done.revision).format == "peft"
    for wrong in ({"alpha": -1.0}, {"enable_lora": "q,v"}):
        with pytest.raises(ValueInvalid):
            verbs.request_conversion(silent, "peft", alice, asked=wrong)


def test_a_loha_of_lycoris_becomes_a_lora_of_the_rank_that_was_asked_for(cast, publish):
    alice, name = cast.session("alice"), "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    values = {part: struct.pack("<16f", *range(16)) for part in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")}
    tensors = {f"{name}.{part}": ("F32", (8, 2) if part[-1] == "a" else (2, 8), raw) for part, raw in values.items()}
    source = publish("alice/loha", {"it.safetensors": pack(tensors), "README.md": card("org/sd-v1-5")})
    refused = made(verbs.request_conversion(source, "diffusers", alice))
    assert (refused.state, "--rank" in refused.reason) == ("refused", True)
    done = made(verbs.request_conversion(source, "diffusers", alice, asked={"rank": 4}))
    assert (done.state, done.reason) == ("done", "")
    shapes = {path: shape for path, (_, shape, _) in unpack(read(done.revision, diffusers.FILE)).items()}
    inner = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight"
    assert shapes[inner] == (4, 8)
    assert json.loads(read(done.revision, "derived.json"))["lost"] < 1e-6


def test_a_public_merge_names_no_private_source(cast, publish):
    one = publish("alice/one", lora(TINY_LLAMA, task="CAUSAL_LM", seed=1))
    secret = publish("alice/secret", lora(TINY_LLAMA, task="CAUSAL_LM", seed=2), private=True)
    into, origins = cast.repository("alice/both"), [Origin(one), Origin(secret)]
    done = made(verbs.request_merge(origins, Recipe("cat"), cast.session("alice"), into))
    assert (done.state, done.reason) == ("done", "")
    told = [read(done.revision, path).decode() for path in ("README.md", "derived.json")] + [done.revision.message]
    for text in told:
        assert one.oid in text
        assert "secret" not in text
        assert secret.oid not in text


def test_what_is_not_lossless_is_refused_with_the_name_of_the_module_and_leaves_nothing(cast, publish, llama):
    source = publish("alice/dora", lora(TINY_LLAMA, task="CAUSAL_LM", dora=True))
    done = made(verbs.request_conversion(source, "gguf", cast.session("alice")))
    assert done.state == "refused"
    assert "model.layers.0.self_attn.q_proj: GGUF has no form for DoRA" in done.reason
    assert [ref.name for ref in refs.list_refs(source.repository)] == [MAIN]
    nothing = made(verbs.request_conversion(source, "slim", cast.session("alice")))
    assert "knows only the config of" in nothing.reason


def test_reading_the_sources_and_writing_the_target_are_both_needed(cast, publish):
    source = publish("alice/reviews")
    with pytest.raises(NotAllowed):
        verbs.request_conversion(source, "mlx", cast.session("carol"))
    own = cast.repository("carol/own", by="carol")
    done = made(verbs.request_conversion(source, "mlx", cast.session("carol"), own))
    assert (done.state, done.ref) == ("done", MAIN)
    hidden = publish("alice/hidden", private=True)
    with pytest.raises(RepositoryNotFound):
        verbs.request_conversion(hidden, "mlx", cast.session("carol"), own)
    row = verbs.request_conversion(source, "bf16", cast.session("carol"), own)
    Repository.objects.filter(pk=source.repository_id).update(private=True)
    assert made(row).state == "refused", "the right is asked again when it is done"
    sources = verbs.shown_sources(done, cast.session("carol"))
    assert [is_shown for _, is_shown in sources] == [False]


def test_unknown_formats_and_too_many_requests_are_refused(cast, publish, monkeypatch):
    source, alice = publish("alice/reviews"), cast.session("alice")
    with pytest.raises(ValueInvalid, match="Unknown format 'onnx'"):
        verbs.request_conversion(source, "onnx", alice)
    with pytest.raises(ValueInvalid, match="takes 2 to 16"):
        verbs.request_merge([Origin(source)], Recipe("cat"), alice, source.repository)
    monkeypatch.setattr(verbs, "WAITING_AT_MOST", 1)
    verbs.request_conversion(source, "mlx", alice)
    with pytest.raises(QuotaExceeded, match="are already queued"):
        verbs.request_conversion(source, "bin", alice)


def test_a_hub_that_fails_tries_three_times_and_a_revoked_token_ends_the_request(cast, publish, monkeypatch):
    source, alice = publish("alice/reviews"), cast.session("alice")
    row = verbs.request_conversion(source, "mlx", alice)
    monkeypatch.setattr(claims, "PAUSE", claims.PAUSE * 0)
    monkeypatch.setattr(pull, "copy_files", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    assert made(row).state == "errored"
    row.refresh_from_db()
    assert (row.attempts, row.reason) == (3, "the disk is full")
    assert verbs.request_conversion(source, "mlx", alice).state == "errored", "who waits must learn of it"
    monkeypatch.setattr(verbs, "RETRY", verbs.RETRY * 0)
    verbs.request_conversion(source, "mlx", alice)
    DerivedVersion.objects.update(attempts=3, state="running")
    assert made(row).state == "errored", "three workers died of it, and no fourth shall"
    verbs.request_conversion(source, "mlx", alice)
    DerivedVersion.objects.update(is_by_token=True)
    done = made(row)
    assert (done.state, done.attempts) == ("refused", 1)
    assert "was revoked" in done.reason


def test_a_hold_follows_lineage_and_so_does_the_release(cast, publish):
    source, mona = publish("alice/reviews"), cast.session("mona")
    copy = made(verbs.request_conversion(source, "mlx", cast.session("alice")))
    own = cast.repository("carol/own", by="carol")
    elsewhere = made(verbs.request_conversion(source, "mlx", cast.session("carol"), own))
    quarantine.quarantine(source.repository, mona, reason="It attacks.", revision=source)
    dispatch.run()
    for derived in (copy, elsewhere):
        derived.revision.refresh_from_db()
        assert derived.revision.is_quarantined
        with pytest.raises(RevisionNotFound):
            pull.require_served(Revision.objects.get(pk=derived.revision_id), cast.session("dave"))
    quarantine.release(source.repository, mona, reason="It does not.", revision=source)
    dispatch.run()
    quarantine.quarantine(source.repository, mona, reason="All of it attacks.")
    dispatch.run()
    for derived, is_held in ((copy, False), (elsewhere, True)):
        derived.revision.refresh_from_db()
        assert derived.revision.is_quarantined is is_held, "its own repository is held as a whole"
