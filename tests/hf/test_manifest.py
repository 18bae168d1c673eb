"""Ids are git's: a revision, a folder and a file have the id that git computes over the same files."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from registry.publish.plans import GitIgnore
from registry.repos import manifest
from registry.repos.manifest import Entry
from tests.sweep import sweep

FILES = {
    "README.md": b"# Hello\n",
    "a/b/c.txt": b"deep",
    "a.txt": b"sorts before the folder a",
    "a-b/x": b"sorts between them",
    "ä/ü.json": b"{}",
    "empty": b"",
}
WEIGHTS = b"weights" * 1000
AT = datetime(2026, 11, 25, 12, 30, 59, tzinfo=UTC)


def git(folder: Path, *arguments: str) -> str:
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in WHO.items()}
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder), **who}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return done.stdout


WHO = {"NAME": "alice", "EMAIL": "alice@dovetail", "DATE": f"{int(AT.timestamp())} +0000"}


def test_ids_are_those_of_git(tmp_path):
    lfs = manifest.lfs_entry("model.safetensors", "ab" * 32, len(WEIGHTS))
    entries = {path: Entry(path, "", len(data), False, manifest.git_blob_oid(data)) for path, data in FILES.items()}
    entries[lfs.path] = lfs
    on_disk = FILES | {lfs.path: manifest.pointer(lfs.sha256, lfs.size)}
    git(tmp_path, "init", "-q")
    for path, data in on_disk.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "--cleanup=verbatim", "-m", "Title\n\nWhy.")
    head = git(tmp_path, "rev-parse", "HEAD").strip()

    words = {"author": "alice", "at": AT, "title": "Title", "message": "Why."}
    assert manifest.revision_oid(entries, parent=None, **words) == head
    listed = git(tmp_path, "ls-tree", "-r", "-t", "-z", "HEAD").split("\0")[:-1]
    theirs = {line.split("\t")[1]: line.split()[2] for line in listed}
    ours = {entry.path: entry.git_oid for entry in entries.values()} | manifest.folder_oids(entries.values())
    ours.pop("")
    assert ours == theirs

    git(tmp_path, "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", "Again")
    again = {**words, "title": "Again", "message": ""}
    assert manifest.revision_oid(entries, parent=head, **again) == git(tmp_path, "rev-parse", "HEAD").strip()


PATHS = ["a.log", "b/a.log", "build/x", "src/build/x", "docs/a/b/c.md", "docs/c.md", "keep.log", "b/keep.log"]
PATHS += ["x1", "x9", "#a", "d/e/f"]
RULES = ["*.log", "*.log\n!keep.log", "build/", "/build", "docs/**/c.md", "**/b", "x[0-4]", "# x1\n\\#a", "d/*\n!d/e"]
RULES += ["d", "a?log", ""]


@sweep("rules", RULES)
def test_gitignore_means_what_git_says(tmp_path, rules):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(rules)
    command = ["git", "check-ignore", "--no-index", "--stdin"]
    asked = subprocess.run(command, cwd=tmp_path, input="\n".join(PATHS), capture_output=True, text=True)
    assert [path for path in PATHS if GitIgnore(rules).leaves_out(path)] == asked.stdout.split()


def test_a_hostile_pattern_takes_no_time():
    hostile = "\n".join(["*a" * 60 + "*b", "**/" * 30 + "x", "[" * 200, "*" * 5000 + "b"])
    assert not GitIgnore(hostile).leaves_out("/".join(["a" * 250] * 4))
