"""The Python API against a running hub: the names of the commands, an answer with types from each, and asyncio."""

import asyncio
import json
import subprocess
import sys
import time

import pytest

import dovetail as library
from dovetail import verdicts
from dovetail.answers import record, versions
from tests import live
from tests.adapters import MINILM, lora, write


@pytest.fixture
def environment(live_hub, tmp_path, monkeypatch):
    """The environment names the hub and the token of alice, as on a person's machine."""
    monkeypatch.setenv("DOVETAIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOVETAIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DOVETAIL_ENDPOINT", live_hub.url)
    monkeypatch.setenv("DOVETAIL_TOKEN", live.TOKENS["alice"])


def test_every_command_is_a_function_with_a_typed_answer(environment, folder, tmp_path, live_hub):
    name = "alice/from-python"
    me = library.whoami()
    assert (me.name, ("acme", "admin") in [(row.name, row.role) for row in me.organizations]) == ("alice", True)
    first = library.push(folder, name).revision
    (folder / "notes.txt").write_text("two")
    second = library.push(folder, name).revision
    info = library.info(name)
    assert (info.id, info.latest, info.kind, info["id"]) == (name, second, "lora", name)
    assert [one.id for one in library.search("from-python", author="alice", limit=5)] == [name]
    manifest = library.manifest(f"{name}@{first}")
    assert (manifest.revision, {file.path for file in manifest.files} >= {"adapter_config.json"}) == (first, True)
    difference = library.diff(f"{name}@{first}", f"@{second}")
    assert [(row.path, row.change, row.b) for row in difference.files] == [("notes.txt", "added", 3)]
    verdict = library.verdict(f"{name}@{first}", wait=True, timeout=0.1)
    assert (verdict.state, verdict.revision) == ("queued", first)
    alias = library.alias(f"{name}@{first}", "prod", force=True, reason="No worker runs here.")
    assert (alias.revision, [row.alias for row in library.aliases(name)]) == (first, ["prod"])
    library.tag(f"{name}@{first}", "v1")
    library.branch(name, "trial")
    assert library.info(name).revision_tags == {"v1": first}
    assert library.info(name).branches == {"main": second, "trial": second}
    library.remove_tag(name, "v1")
    assert library.release(f"{name}@{first}", "v1.0.0", notes="First.", force=True).forced
    assert [row.tag for row in library.releases(name)] == ["v1.0.0"]
    assert library.edit_release(name, "v1.0.0", title="One").notes == "First."
    library.remove_release(name, "v1.0.0", keep_tag=False)
    library.remove_branch(name, "trial")
    pulled = library.pull(f"{name}@prod", tmp_path / "pulled")
    assert not (pulled / "notes.txt").exists()
    lock = library.lock(f"{name}@prod")
    assert (lock.adapters[0].revision, lock.adapters[0].asked) == (first, "prod")
    synced = library.sync(lock, tmp_path / "served")
    assert (synced.is_changed, synced.added) == (True, (f"{name}@{first}",))
    library.remove_alias(name, "prod")
    assert library.yank(f"{name}@{second}", "Wrong labels.").yanked.reason == "Wrong labels."
    assert library.yank(f"{name}@{second}", undo=True).yanked is None
    with library.Client(live_hub.url, live.TOKENS["carol"], timeout=10) as carol:
        assert not carol.report(f"{name}@{first}", "spam", text="An advertisement.").merged
    library.delete(name)
    with pytest.raises(library.Problem) as gone:
        library.info(name)
    assert (gone.value.code, str(gone.value)) == ("adapter-not-found", f"{gone.value.detail} {gone.value.fix}".strip())


def test_a_revision_is_named_once(environment):
    with pytest.raises(library.Problem, match="both name a revision"):
        library.pull("alice/x@verified", revision="main")
    with pytest.raises(library.Problem, match="names no revision after its @"):
        library.verdict("alice/x@")


def test_the_asynchronous_client_has_the_same_methods_and_asks_at_the_same_time(environment, tmp_path):
    names = [f"alice/async-{number}" for number in range(2)]

    async def walk():
        async with library.AsyncClient() as hub:
            folders = [write(lora(MINILM), tmp_path / str(number)) for number in range(2)]
            pushed = await asyncio.gather(*(hub.push(*pair) for pair in zip(folders, names, strict=True)))
            seen = [verdict.state async for verdict in hub.verdicts(names[0], timeout=0)]
            checked = await hub.check(folders[0])
            infos = await asyncio.gather(*(hub.info(name) for name in names))
            with pytest.raises(library.Problem, match="nothing-here"):
                await hub.info("alice/nothing-here")
            return pushed, seen, checked.passed, infos

    pushed, seen, is_right, infos = asyncio.run(walk())
    assert [info.latest for info in infos] == [one.revision for one in pushed]
    assert (seen, is_right) == (["queued"], True)
    public = {name for name in vars(library.Client) if not name.startswith("_")}
    bases = {name for base in library.Client.__mro__[1:-1] for name in vars(base) if not name.startswith("_")}
    assert (public | bases) - {"fetch"} <= set(dir(library.AsyncClient))
    assert set(library.__all__) >= (public | bases) - {"fetch", "verdicts"}


def test_a_request_has_a_time_limit():
    listening = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", listening], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as silent:
        began = time.monotonic()
        with pytest.raises(library.Problem, match="does not answer") as late:
            library.Client(f"http://127.0.0.1:{silent.stdout.readline().strip()}", timeout=0.3).info("alice/x")
        assert (late.value.exit_status, time.monotonic() - began < 20) == (5, True)
        silent.communicate("\n")


def test_a_verdict_is_html_in_a_notebook_and_no_text_of_a_hub_is_markup():
    shown = verdicts.read(
        {
            "state": "failed", "adapter": "a/b", "revision": "c" * 40,
            "checks": [
                {"id": "tensors.scale", "outcome": "failed", "message": "<script>1</script>", "fix": "Halve & save."},
                {"id": "file.header", "outcome": "passed", "message": ""},
                {"id": "x.new", "outcome": "odd", "message": ""},
            ],
            "evals": [{"name": "smoke", "rows": 3, "metric": "accuracy", "base": 0.5, "adapter": 1.0}],
        }
    )._repr_html_()  # fmt: skip
    assert "&lt;script&gt;1&lt;/script&gt;" in shown
    assert "<script" not in shown
    assert "Halve &amp; save." in shown
    assert "2 other checks" in shown
    assert "1.0 with it" in shown


def test_an_answer_keeps_what_is_newer_than_this_client_and_misses_nothing():
    document = {
        "revision": "c",
        "files": [{"path": "x", "size": 1, "sha256": "y", "new": 2}],
        "size": "odd",
        "more": [1],
    }
    manifest = record.read(versions.Manifest, document)
    assert (manifest["more"], dict(manifest) == document) == ([1], True)
    assert (manifest.files[0].size, manifest.files[0]["new"], manifest.size) == (1, 2, 0)
    assert manifest == document
    assert json.loads(json.dumps({**manifest})) == document
    for wrong in ({}, {"revision": 1, "files": []}, {"revision": "c", "files": [{"path": "x"}]}, []):
        with pytest.raises(ValueError, match="Manifest"):
            record.read(versions.Manifest, wrong)


def test_importing_the_package_imports_nothing_heavy():
    script = (
        "import sys, time; began = time.process_time(); import dovetail; spent = time.process_time() - began;"
        "heavy = {'huggingface_hub', 'typer', 'rich', 'yaml', 'numpy', 'urllib.request', 'asyncio', 'filelock'};"
        "print(spent < 0.05, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(live.ROOT / "client/src")},
    )
    assert done.stdout.strip() == "True []", done.stderr
