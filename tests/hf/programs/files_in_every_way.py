"""Any release of huggingface_hub as it is: a file system, a scheduler, names that hurt, and bytes from memory."""

import io
import os
import sys
import tempfile
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitScheduler, HfApi, HfFileSystem, snapshot_download

api, fs, repo = HfApi(), HfFileSystem(), sys.argv[1]
api.create_repo(repo)
NAMES = ["a b.txt", "50%.txt", "50%25.txt", "is it?.txt", "#1.txt", "é ü.txt", "日本/モデル.bin", "a+b&c=d;e.txt"]

# --- names
content = {name: name.encode() for name in NAMES} | {"big é %?#.bin": os.urandom(300_000)}
adds = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=data) for name, data in content.items()]
api.create_commit(repo_id=repo, operations=adds, commit_message="Names that hurt")
assert set(api.list_repo_files(repo)) == {".gitattributes", *content}
assert {one.path for one in api.get_paths_info(repo, list(content))} == set(content)
pulled = Path(snapshot_download(repo))
for name, data in content.items():
    assert (pulled / name).read_bytes() == data, name
    assert Path(api.hf_hub_download(repo, name, force_download=True)).read_bytes() == data, name
    assert fs.read_bytes(f"{repo}/{name}") == data, name
assert [one.path for one in api.list_repo_tree(repo, "日本")] == ["日本/モデル.bin"]

# --- bytes from memory, and a file that is open
with tempfile.TemporaryFile() as opened:
    opened.write(b"x" * 100_000)
    opened.seek(0)
    memory = io.BytesIO(b"y" * 100_000)
    api.upload_file(repo_id=repo, path_or_fileobj=memory, path_in_repo="memory.bin")
    api.upload_file(repo_id=repo, path_or_fileobj=opened, path_in_repo="opened.bin")
fs.invalidate_cache()
assert fs.read_bytes(f"{repo}/memory.bin") == b"y" * 100_000
assert fs.info(f"{repo}/opened.bin")["size"] == 100_000

# --- the file system
with fs.open(f"{repo}/notes/one.txt", "w") as file:
    file.write("0123456789" * 1000)
fs.pipe_file(f"{repo}/notes/two.bin", bytes(range(256)) * 1000)
fs.invalidate_cache()
assert sorted(fs.ls(f"{repo}/notes", detail=False)) == [f"{repo}/notes/one.txt", f"{repo}/notes/two.bin"]
assert fs.glob(f"{repo}/**/*.txt")
assert sorted(fs.glob(f"{repo}/notes/*.txt")) == [f"{repo}/notes/one.txt"]
assert fs.cat_file(f"{repo}/notes/two.bin", start=250, end=260) == bytes([250, 251, 252, 253, 254, 255, 0, 1, 2, 3])
with fs.open(f"{repo}/notes/two.bin", "rb", block_size=4096) as file:
    file.seek(200_000)
    assert file.read(5) == (bytes(range(256)) * 1000)[200_000:200_005]
assert fs.exists(f"{repo}/notes/one.txt")
assert not fs.exists(f"{repo}/notes/three.txt")
assert not fs.exists(f"{repo}-is-not-there/x")
assert fs.isdir(f"{repo}/notes")
assert fs.isfile(f"{repo}/notes/one.txt")
fs.cp_file(f"{repo}/notes/one.txt", f"{repo}/notes/copy.txt")
fs.cp_file(f"{repo}/big é %?#.bin", f"{repo}/notes/copy.bin")
fs.mv(f"{repo}/notes/copy.txt", f"{repo}/notes/moved.txt")
fs.invalidate_cache()
left = {each.rpartition("/")[2] for each in fs.ls(f"{repo}/notes", detail=False)}
assert left == {"one.txt", "two.bin", "moved.txt", "copy.bin"}
assert fs.read_bytes(f"{repo}/notes/copy.bin") == content["big é %?#.bin"]
api.create_branch(repo, branch="side/one")
assert fs.read_text(f"{repo}@side%2Fone/notes/one.txt").startswith("0123")
fs.rm(f"{repo}/notes", recursive=True)
fs.invalidate_cache()
assert not fs.exists(f"{repo}/notes")
assert len([*fs.walk(repo)]) == 2
assert fs.modified(f"{repo}/memory.bin")

# --- a folder that is watched
with tempfile.TemporaryDirectory() as folder:
    scheduler = CommitScheduler(repo_id=repo, folder_path=folder, path_in_repo="log", every=60)
    with scheduler.lock:
        Path(folder, "steps.jsonl").write_text('{"step": 1}\n')
    scheduler.trigger().result()
    with scheduler.lock, Path(folder, "steps.jsonl").open("a") as log:
        log.write('{"step": 2}\n')
    scheduler.trigger().result()
    scheduler.stop()
assert Path(api.hf_hub_download(repo, "log/steps.jsonl")).read_text() == '{"step": 1}\n{"step": 2}\n'

# --- many files, twice: the second time nothing is sent
with tempfile.TemporaryDirectory() as folder:
    for number in range(30):
        Path(folder, f"part-{number}.bin").write_bytes(os.urandom(2_000))
    large = getattr(api, "upload_large_folder", None)
    before = len(api.list_repo_commits(repo))
    for _ in range(2):
        if large:
            large(repo_id=repo, folder_path=folder, repo_type="model", print_report=False)
        else:
            api.upload_folder(repo_id=repo, folder_path=folder)
    after = len(api.list_repo_commits(repo))
assert after > before
assert sum(path.startswith("part-") for path in api.list_repo_files(repo)) == 30
history = api.list_repo_commits(repo)
assert len({one.commit_id for one in history}) == len(history)
print("fine")
