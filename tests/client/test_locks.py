"""The lock file: what it holds, and what a hostile one cannot make this machine write."""

import json

import pytest

from dovetail import locks
from dovetail.adapters.results.report import BasePin
from dovetail.locks import Lock, LockedAdapter, LockedBase, LockedFile
from dovetail.problems import Problem
from tests.sweep import sweep

SHA, OID = "0" * 64, "a" * 40
BASE = LockedBase("lab/base", "r1", SHA, (LockedFile("config.json", SHA),))


def entry(adapter: str = "alice/reviews", *paths: str, **more: str) -> LockedAdapter:
    files = tuple(LockedFile(path, SHA, 3) for path in paths or ("adapter_config.json",))
    fields = {"asked": "prod", "folder": adapter} | more
    return LockedAdapter(adapter, fields["asked"], OID, fields["folder"], files, base=BasePin("lab/base", "r1", SHA))


def test_a_lock_is_read_as_it_was_written_and_written_the_same_each_time(tmp_path):
    lock = Lock("https://hub", since=7).with_entry(entry(), BASE).with_entry(entry(asked="v1", folder="a/b@v1"), BASE)
    file = tmp_path / "adapters.lock"
    locks.write_file(lock, file)
    assert locks.read_file(file) == lock
    assert file.read_text() == lock.text()
    assert list(tmp_path.iterdir()) == [file], "nothing is left beside it"


def test_an_entry_takes_the_place_of_the_one_asked_in_the_same_words_and_bases_go_with_the_last(tmp_path):
    lock = Lock("https://hub").with_entry(entry(), BASE).with_entry(entry("bob/x"), BASE)
    renewed = lock.with_entry(entry("alice/reviews", "other.json"), BASE)
    assert [one.adapter for one in renewed.adapters] == ["alice/reviews", "bob/x"]
    assert renewed.named(["alice/reviews@prod"])[0].files[0].path == "other.json"
    rest = renewed.without(renewed.named(["alice/reviews"]))
    assert ([one.adapter for one in rest.adapters], rest.bases) == (["bob/x"], (BASE,))
    assert rest.without(rest.adapters).bases == ()
    with pytest.raises(Problem, match="carol/x is not in the lock"):
        rest.named(["carol/x"])


HOSTILE = {
    "a path that leads out": [entry("a/b", "../x")],
    "an absolute path": [entry("a/b", "/etc/passwd")],
    "a NUL": [entry("a/b", "x\0y")],
    "a path into .git": [entry("a/b", ".git/hooks/post-checkout")],
    "a drive": [entry(folder="C:/x")],
    "twins if case is ignored": [entry("a/b", "README.md", "readme.MD")],
    "twins by their Unicode form": [entry("a/b", "\u212b.md", "\xe5.md")],
    "a file that is a folder too": [entry("a/b", "x", "x/y")],
    "a folder that leads out": [entry(folder="../../home")],
    "an absolute folder": [entry(folder="/srv")],
    "a folder of ours": [entry(folder=".adapters.lock")],
    "a folder in another one": [entry("a/b", "x"), entry("c/d", "y", folder="a/b/c")],
    "folders that are twins": [entry("a/b", "x"), entry("c/d", "y", folder="A/B")],
}


@sweep("why", HOSTILE)
def test_a_lock_cannot_name_a_place_that_must_not_be_written(tmp_path, why):
    lock = Lock("https://hub", tuple(HOSTILE[why]))
    with pytest.raises(Problem) as refused:
        locks.write_file(lock, tmp_path / "adapters.lock")
    assert refused.value.code == "client-path-refused"
    (tmp_path / "adapters.lock").write_text(lock.text())
    with pytest.raises(Problem, match="must not be written"):
        locks.read_file(tmp_path / "adapters.lock")


@pytest.mark.parametrize("id", ["../base", "/base", "a/../../b"])
def test_a_base_cannot_lead_out_either(tmp_path, id):
    (tmp_path / "adapters.lock").write_text(Lock("https://hub", (), (LockedBase(id, "", SHA),)).text())
    with pytest.raises(Problem, match="must not be written"):
        locks.read_file(tmp_path / "adapters.lock")


@pytest.mark.parametrize(
    "change",
    [
        lambda lock: [],
        lambda lock: lock | {"lock_version": 2},
        lambda lock: lock | {"since": -1},
        lambda lock: lock | {"hub": None},
        lambda lock: lock | {"adapters": {"a": 1}},
        lambda lock: lock | {"adapters": [lock["adapters"][0] | {"revision": "main"}]},
        lambda lock: lock | {"adapters": [lock["adapters"][0] | {"asked": "x\ny"}]},
        lambda lock: lock | {"adapters": [lock["adapters"][0] | {"files": [{"path": "x", "sha256": "x", "size": 1}]}]},
        lambda lock: lock | {"adapters": [lock["adapters"][0] | {"files": [{"path": "x", "sha256": SHA, "size": -1}]}]},
        lambda lock: lock | {"adapters": [lock["adapters"][0] | {"files": [{"path": "x", "sha256": SHA}]}]},
    ],
)  # fmt: skip
def test_what_is_no_lock_is_said(tmp_path, change):
    document = json.loads(Lock("https://hub").with_entry(entry(), BASE).text())
    (tmp_path / "adapters.lock").write_text(json.dumps(change(document)))
    with pytest.raises(Problem) as refused:
        locks.read_file(tmp_path / "adapters.lock")
    assert (refused.value.code, "dovetail lock" in refused.value.fix) == ("client-lock-broken", True)
