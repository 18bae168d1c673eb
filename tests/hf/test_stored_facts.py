"""The facts of a revision are a row: a push writes it, and what is read of it is what the files say."""

import json
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path

import pytest

from dovetail.adapters.formats.description import Description
from dovetail.adapters.results.usage import AdapterUsage
from dovetail.adapters.shapes.trainer_facts import Training
from dovetail.adapters.shapes.trainer_settings import Stated
from registry.bytes.blobs import FileStore, Keys
from registry.kernel.errors import StoreUnavailable
from registry.models import Revision, RevisionFacts
from registry.repos import pull
from registry.repos.contents import facts, stored_facts
from registry.repos.contents.card import Card
from registry.repos.contents.facts import Facts
from tests.adapters import MINILM, TINY_LLAMA, card, ia3, lora, pack, prompt
from tests.cast import Cast
from tests.hf.wire import Wire, file, header, lfs_file
from workers import pushed_files

NAME = "alice/reviews"
# Facts that these files have by the parser of a version. Where this fails, what is stored does not fit the code any
# more: raise stored_facts.VERSION, so that hubs compute their rows anew, and write the new digest here.
PINNED = (1, "0128ec0a3a9aa2610aba7f88de4734a1d58421c422a1d98c166f9d5527b6eb54")

KOHYA = {"a.safetensors": pack({}, {"ss_network_module": "networks.lora", "ss_tag_frequency": '{"a": {"zq7 cat": 3}}'})}
STATE = json.dumps({"log_history": [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1.5}], "global_step": 2}).encode()
ODD = b"""---
license: [mit]
when: 2026-12-02
share: .nan
much: .inf
odd: "\\0 \\uD800"
zebra: 1
apple: {b: 1, a: 2}
---
# T\xc3\xaftle

Prose with a \0 in it.
"""
REPOSITORIES = {
    "lora": {**lora(MINILM), "README.md": card(MINILM.id), "trainer_state.json": STATE, "tokenizer.json": b"{}"},
    "ia3": ia3(),
    "prompt": prompt("PROMPT_TUNING"),
    "llama": {f"folder/{path}": data for path, data in lora(TINY_LLAMA, task="CAUSAL_LM").items()},
    "images": KOHYA,
    "odd": {"README.md": ODD},
    "broken": {"adapter_config.json": b"[", "adapter_model.safetensors": b"x", "README.md": b"---\n: [\n---\n"},
    "long": {"README.md": b"# Long\n" + b"x" * facts.MAX_TEXT},
}


def pushed(wire: Wire, files: dict[str, bytes]) -> Revision:
    lines = [header()]
    for path, data in files.items():
        if path.endswith(".safetensors"):
            wire.deliver(NAME, data)
        lines.append(lfs_file(path, data) if path.endswith(".safetensors") else file(path, data))
    assert wire.commit(NAME, *lines).status_code == 200
    return Revision.objects.select_related("repository").latest("pk")


@pytest.fixture
def repository(cast: Cast, store) -> None:
    cast.repository(NAME)


@pytest.fixture
def silent(monkeypatch) -> None:
    """The store does not answer."""

    def refuse(*_):
        raise StoreUnavailable("The file store does not respond.")

    facts._read.cache_clear()
    monkeypatch.setattr(FileStore, "open", refuse)
    monkeypatch.setattr(FileStore, "check", refuse)


def test_the_version_is_of_the_parser(wire: Wire, repository):
    records = (Facts, Card, Description, AdapterUsage, Training, Stated)
    shape = [[one.name, str(one.type)] for record in records for one in fields(record)]
    rows = []
    for files in REPOSITORIES.values():
        row = RevisionFacts.objects.get(revision=pushed(wire, files))
        rows += [row.facts, row.text]
    digest = sha256(json.dumps([shape, rows]).encode()).hexdigest()
    assert (stored_facts.VERSION, digest) == PINNED


@pytest.mark.parametrize("files", REPOSITORIES.values(), ids=REPOSITORIES)
def test_what_is_stored_is_what_the_files_say(wire: Wire, repository, files):
    revision = pushed(wire, files)
    entries = pull.entries(revision)
    stored, read = stored_facts.revision_facts(revision, entries), facts.read_facts(entries)
    without_text = replace(read, card=replace(read.card, body=""))
    assert repr(stored) == repr(without_text), "nan is not nan, and the order of keys counts"
    if readme := entries.get("README.md"):
        kept = stored_facts.kept_card(revision, readme)
        assert (kept is None) == (files["README.md"].startswith(b"# Long"))
        assert kept is None or repr(kept) == repr(replace(read.card, body=read.card.body.replace("\0", "")))


def test_a_row_of_an_older_parser_is_written_again_and_one_of_a_newer_left(wire: Wire, repository):
    revision = pushed(wire, REPOSITORIES["lora"])
    for version, after in ((0, 1), (9, 9)):
        RevisionFacts.objects.update(version=version, facts="{}")
        assert stored_facts.revision_facts(revision, pull.entries(revision)).library == "peft"
        assert RevisionFacts.objects.get(pk=revision.pk).version == after
    RevisionFacts.objects.all().delete()
    assert pushed_files.write_facts() == Revision.objects.count() == 2
    assert pushed_files.write_facts() == 0


def test_a_lost_file_is_left_out_of_the_info_and_no_row_says_so(wire: Wire, repository, settings):
    revision = pushed(wire, REPOSITORIES["lora"])
    readme = pull.entries(revision)["README.md"]
    Path(settings.BLOBS.removeprefix("file://"), Keys.blob(readme.sha256)).unlink()
    assert wire.get(f"/api/models/{NAME}").json()["cardData"]["base_model"] == MINILM.id, "the row knows it"
    RevisionFacts.objects.all().delete()
    facts._read.cache_clear()
    assert "base_model" not in wire.get(f"/api/models/{NAME}").json()["cardData"]
    assert not RevisionFacts.objects.filter(revision=revision).exists()
    assert pushed_files.write_facts() == 1, "of the first commit"


def test_a_store_that_is_away_ends_the_refresh(wire: Wire, repository, request):
    pushed(wire, REPOSITORIES["lora"])
    request.getfixturevalue("silent")
    RevisionFacts.objects.all().delete()
    with pytest.raises(StoreUnavailable):
        pushed_files.write_facts()
