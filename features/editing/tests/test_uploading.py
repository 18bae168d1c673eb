"""Uploading in the browser: plain forms, zips, the look before the commit, and the addresses that scripts ask for."""

import hashlib
import io
import json
import re
import stat
import threading
import zipfile
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from features.editing import examinations, staged_files
from hub.server import uploads
from registry.kernel import capacity, quotas
from registry.models import Blob, Repository
from registry.repos import pull
from tests.api.conftest import FILES
from tests.clients import ROOT
from tests.sweep import sweep

pytestmark = pytest.mark.usefixtures("patient")

PAGE = "/alice/reviews/upload/main"


def sent(**files: bytes) -> list[SimpleUploadedFile]:
    """Files of a form; `__` in a name stands for a dot."""
    return [SimpleUploadedFile(name.replace("__", "."), data) for name, data in files.items()]


def zipped(files: dict[str, bytes], **more) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for name, mode in more.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, "target")
    return held.getvalue()


def staged_in(answer) -> str:
    return unescape(re.search(r'name="staged"\s+value="([^"]*)"', answer.content.decode())[1])


def names_of(repository: Repository, rev: str = "main") -> set[str]:
    return set(pull.entries(pull.resolve(repository, rev))) - {".gitattributes"}


def demo_files() -> list[SimpleUploadedFile]:
    folder = ROOT / "demo" / "reviews-lora"
    return [SimpleUploadedFile(path.name, path.read_bytes()) for path in folder.iterdir() if path.suffix != ".md"]


def test_a_folder_becomes_an_adapter_without_scripts_and_there_is_none_before(cast, visit):
    alice, files = visit("alice"), demo_files()
    before = Repository.with_binned.count()
    assert alice.post("/upload", {"files": files})["Location"] == "/upload"
    page = alice.get("/upload").content.decode()
    assert "LoRA, rank 8" in page
    assert "sentence-transformers/all-MiniLM-L6-v2" in page
    assert "Nothing to fix." in page
    assert 'value="text-classification"' in page, "the task comes from the files"
    assert 'value="all-MiniLM-L6-v2-text-classification"' in page, "a name is suggested"
    assert Repository.with_binned.count() == before, "there is no repository yet"
    assert "LoRA, rank 8" not in visit("bob").get("/upload").content.decode()
    card = {
        "card-license": "mit",
        "card-language": "en, de",
        "card-text": "# Fresh\r\n\r\nIt is **new**.",
        "card-base": "",
    }
    form = {"name": "fresh", "visibility": "public", **card}
    assert "<strong>new</strong>" in alice.post("/upload", {**form, "preview": "yes"}).content.decode()
    landed = alice.post("/upload", {**form, "leave": ["reload.py"], "publish": "yes"})
    assert landed["Location"] == "/alice/fresh/verdict/main"
    assert visit().get("/alice/fresh").status_code == 200
    made = Repository.objects.get(name="fresh")
    head = pull.resolve(made, "main")
    assert names_of(made) == {file.name for file in files} - {"reload.py"} | {"README.md"}
    assert (head.title, head.author.username) == ("First version", "alice")
    assert not head.is_part
    entries = pull.entries(head)
    assert entries["adapter_model.safetensors"].is_lfs
    assert not entries["adapter_config.json"].is_lfs
    assert staged_files.read(entries["README.md"]).decode() == (
        "---\nlicense: mit\nlanguage:\n- en\n- de\n---\n\n# Fresh\n\nIt is **new**.\n"
    )
    assert 'name="publish"' not in alice.get("/upload").content.decode(), "the draft is over"


def test_a_draft_is_kept_until_it_is_published_or_discarded(cast, visit):
    alice = visit("alice")
    alice.post("/upload", {"files": sent(adapter_config__json=FILES["adapter_config.json"])})
    alice.post("/upload", {"files": sent(a__txt=b"a", b__txt=b"b")})
    assert "3 files" in alice.get("/upload").content.decode()
    left = alice.post("/upload", {"name": "x", "leave": ["a.txt"], "preview": "yes"})
    assert "2 files" in left.content.decode()
    more = alice.post("/upload", {"name": "x", "files": sent(c__txt=b"c"), "publish": "yes"})
    assert "3 files" in more.content.decode(), "nobody has seen the new one"
    assert not Repository.objects.filter(name="x").exists()
    Blob.objects.filter(sha256=hashlib.sha256(b"c").hexdigest()).delete()
    assert "2 files" in alice.get("/upload").content.decode(), "a sweep came"
    assert alice.post("/upload", {"discard": "yes"})["Location"] == "/upload"
    assert "No files were chosen" in alice.post("/upload", {"name": "x", "publish": "yes"}).content.decode()


def test_scripts_send_the_files_of_a_draft_with_their_paths(cast, visit):
    alice = visit("alice")
    taken = alice.post("/upload/files", {"path": "notes/a.txt", "files": sent(a__txt=b"a")})
    assert taken.status_code == 204
    assert "notes/a.txt" in alice.get("/upload").content.decode()
    refused = alice.post("/upload/files", {"path": "../a.txt", "files": sent(a__txt=b"a")})
    assert (refused.status_code, "is not allowed" in refused.json()["detail"]) == (422, True)
    assert visit().post("/upload/files", {"path": "a", "files": sent(a__txt=b"a")}).status_code == 302


def test_a_draft_is_fixed_in_place(cast, visit):
    alice = visit("alice")
    spoilt = {path: data for path, data in FILES.items() if path != "README.md"}
    spoilt["adapter_config.json"] = json.dumps({**json.loads(FILES["adapter_config.json"]), "r": "4"}).encode()
    alice.post("/upload", {"files": [SimpleUploadedFile(path, data) for path, data in spoilt.items()]})
    page = alice.get("/upload").content.decode()
    id = re.search(r'name="fix"\s+value="([^"]+)"\s+formaction="/upload/fix"', page)[1]
    fixed = alice.post("/upload/fix", {"fix": id, "name": "mine", "card-text": "# Typed"}).content.decode()
    assert "<h3>Fixed</h3>" in fixed
    assert 'value="mine"' in fixed
    assert "# Typed" in fixed
    alice.post("/upload", {"name": "mine", "card-text": "", "publish": "yes"})
    made = Repository.objects.get(name="mine")
    assert json.loads(staged_files.read(pull.find_file(pull.resolve(made, "main"), "adapter_config.json")))["r"] == 4
    assert alice.get("/upload/fix")["Location"] == "/upload"


@pytest.mark.parametrize(("wish", "status"), [("public", 200), ("private", 404)])
def test_a_contributor_chooses_who_sees_the_first_version(cast, visit, wish, status):
    dave = visit("dave")
    assert dave.post("/upload?owner=acme", {"files": sent(a__txt=b"a")})["Location"] == "/upload?owner=acme"
    assert '<option value="acme" selected>' in dave.get("/upload?owner=acme").content.decode()
    form = {"owner": "acme", "name": "by-dave", "visibility": wish, "card-text": "# By Dave", "publish": "yes"}
    assert dave.post("/upload", form).status_code == 302
    assert visit("carol").get("/acme/by-dave").status_code == status


def test_a_repository_that_is_not_made_leaves_nothing(cast, visit, monkeypatch):
    alice = visit("alice")
    alice.post("/upload", {"files": sent(a__txt=b"a" * 100)})
    monkeypatch.setattr(quotas, "limits_of", lambda namespace: quotas.Limits(50, 0))
    refused = alice.post("/upload", {"name": "full", "visibility": "public", "card-text": "", "publish": "yes"})
    assert refused.status_code == 403
    assert not Repository.with_binned.filter(name="full").exists()
    assert 'name="publish"' in alice.get("/upload").content.decode(), "the draft stays"


def test_errors_come_first_with_the_fix(visit, reviews):
    config = json.dumps({**json.loads(FILES["adapter_config.json"]), "r": 0}).encode()
    page = visit("alice").post(PAGE, {"files": sent(adapter_config__json=config)}).content.decode()
    assert page.index("What to fix") < page.index("static checks passed")
    assert "config.rank" in page
    assert "replaces" in page
    assert 'name="card-text"' not in page, "there is a card, which these files do not touch"


def test_a_name_that_is_taken_is_told_and_leads_to_the_next_version(visit, reviews, secret):
    alice, form = visit("alice"), {"owner": "alice", "name": "Reviews", "visibility": "public"}
    alice.post("/upload", {"files": sent(a__txt=b"a")})
    refused = alice.post("/upload", {**form, "card-text": "", "publish": "yes"})
    assert refused.status_code == 409
    assert 'href="/alice/Reviews/upload/main"' in refused.content.decode()
    told = {"HX-Request": "true", "HX-Target": "name-told"}
    assert "exists already" in alice.post("/upload", form, headers=told).content.decode()
    for other in ({**form, "name": "free"}, {**form, "owner": "nobody"}):
        assert "exists already" not in alice.post("/upload", other, headers=told).content.decode()
    carol = visit("carol").post("/upload", {**form, "owner": "acme", "name": secret.name}, headers=told)
    assert "exists already" not in carol.content.decode(), "names of others stay theirs"


def test_a_card_that_came_along_keeps_what_the_form_does_not_ask(visit, reviews):
    readme = b"---\nlicense: mit\nwidget: [x]\n---\n\n# Mine\n"
    alice = visit("alice")
    answer = alice.post(PAGE, {"files": sent(README__md=readme)})
    form = {"staged": staged_in(answer), "title": "Card", "commit": "yes", "where": "branch"}
    fields = {"card-license": "mit", "card-text": "# Mine\r\n", "card-base": "a/b"}
    assert alice.post(PAGE, {**form, **fields}).status_code == 302
    entry = pull.find_file(pull.resolve(reviews, "main"), "README.md")
    assert staged_files.read(entry) == b"---\nlicense: mit\nwidget:\n- x\nbase_model: a/b\n---\n\n# Mine\n"


def test_a_zip_is_unpacked_without_its_folder(visit, reviews):
    alice = visit("alice")
    data = zipped({"run/notes/a.txt": b"a", "run/b.txt": b"b" * 9, "__MACOSX/run/._b": b"", "run/.DS_Store": b""})
    answer = alice.post(PAGE, {"files": sent(run__zip=data)})
    assert [row[0] for row in json.loads(staged_in(answer))] == ["notes/a.txt", "b.txt"]
    again = alice.post(PAGE, {"staged": staged_in(answer), "files": sent(c__txt=b"c"), "leave": "b.txt"})
    assert {row[0] for row in json.loads(staged_in(again))} == {"notes/a.txt", "c.txt"}


@sweep(
    "data, sentence",
    [
        (b"PK\5\6", "cannot be read as a zip"),
        (zipped({"../up.txt": b"x"}), "is not allowed"),
        (zipped({"/etc/passwd": b"x"}), "is not allowed"),
        (zipped({}, link=stat.S_IFLNK | 0o777), "is a link"),
        (zipped({"zeros.bin": bytes(staged_files.FREE_BYTES + 1)}), "it was not unpacked"),
        (zipped({f"{number}": b"" for number in range(1001)}), "the limit is 1,000"),
        (zipped({"a.txt": b"x" * 400}).replace(b"a.txt", b"b.txt", 1), "cannot be read as a zip"),
        (zipped({"a": b"1", "a/b": b"2"}), "collide"),
    ],
)
def test_a_bad_zip_is_refused_with_the_reason(visit, reviews, data, sentence):
    alice = visit("alice")
    answer = alice.post(PAGE, {"files": sent(x__zip=data)})
    if sentence == "collide":  # of the whole tree, so that the commit says it
        answer = alice.post(PAGE, {"staged": staged_in(answer), "title": "", "commit": "yes"})
    assert answer.status_code in (400, 413, 422)
    assert sentence in unescape(answer.content.decode())


def test_what_a_form_gets_wrong_is_said(visit, reviews, monkeypatch):
    alice = visit("alice")
    unknown = json.dumps([["a.txt", "0" * 64, 1]])
    for fields, status, sentence in (
        ({}, 400, "No files were chosen"),
        ({"staged": "{"}, 400, "cannot be read"),
        ({"staged": '[["a", "b", 1]]'}, 400, "is not a sha256"),
        ({"staged": '[["a", "b", Infinity]]'}, 400, "cannot be read"),
        ({"staged": unknown}, 400, "are not here"),
        ({"files": [*sent(a__txt=b"a"), *sent(a__txt=b"b")]}, 400, "Two files are named"),
    ):
        answer = alice.post(PAGE, fields)
        assert answer.status_code == status, fields
        assert sentence in unescape(answer.content.decode())
    monkeypatch.setattr(uploads, "MAX_FORM_BYTES", 100)
    for address in (PAGE, "/upload"):
        answer = alice.post(address, {"files": sent(a__txt=b"a" * 200)})
        assert answer.status_code == 413
        assert "The form is too large; the limit is 100 bytes" in answer.content.decode()


def test_bytes_of_others_are_not_reached_by_their_digest(cast, visit, secret):
    entry = pull.entries(pull.resolve(secret, "main"))["adapter_config.json"]
    cast.repository("carol/own", by="carol")
    answer = visit("carol").post(
        "/carol/own/upload/main", {"staged": json.dumps([["x.json", entry.sha256, entry.size]])}
    )
    assert answer.status_code == 400
    assert "are not here" in answer.content.decode()


def test_the_bytes_in_an_archive_count_in_the_day_before_they_are_stored(visit, reviews, monkeypatch):
    monkeypatch.setattr(quotas, "daily_limit", lambda by: 50_000)
    answer = visit("alice").post(PAGE, {"files": sent(x__zip=zipped({"a.bin": bytes(60_000)}))})
    assert (answer.status_code, "bytes today" in answer.content.decode()) == (403, True)
    assert not Blob.objects.filter(sha256=hashlib.sha256(bytes(60_000)).hexdigest()).exists()


def test_few_examinations_run_at_once(visit, reviews, monkeypatch):
    monkeypatch.setattr(examinations, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(examinations, "WAIT", 0.01)
    with examinations._places:
        page = visit("alice").post(PAGE, {"files": sent(a__txt=b"one of many")}).content.decode()
    assert "Too many are being checked" in page


def test_few_long_requests_run_at_once(visit, reviews, monkeypatch):
    monkeypatch.setattr(capacity, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(capacity, "WAIT_SECONDS", 0.01)
    alice = visit("alice")
    with capacity.place():
        refused = [
            alice.post(PAGE, {"files": sent(a__txt=b"a")}),
            alice.post("/upload", {"files": sent(a__txt=b"a")}),
        ]
    assert [(answer.status_code, answer["Retry-After"]) for answer in refused] == [(503, "5")] * 2


def test_scripts_are_told_where_to_send_bytes(visit, reviews, settings):
    alice = visit("alice")
    new, old = b"x" * 100, FILES["README.md"]
    files = [
        {"path": p, "size": len(d), "sha256": hashlib.sha256(d).hexdigest()} for p, d in (("a.bin", new), ("b", old))
    ]
    ask = lambda files, client=alice: client.post(f"{PAGE}/offers", {"files": files}, "application/json")
    first, second = ask(files).json()["objects"]
    assert "actions" not in second, "its bytes are here"
    url = first["actions"]["upload"]["href"]
    assert alice.put(url, new, "application/octet-stream").status_code == 200
    assert "actions" not in ask(files).json()["objects"][0], "a page that is loaded again goes on"
    staged = [[file["path"], file["sha256"], file["size"]] for file in files]
    page = alice.post(PAGE, {"staged": json.dumps(staged)})
    assert "2 files" in page.content.decode()
    refused = ask([{"path": "../a", "size": 1, "sha256": "0" * 64}])
    assert (refused.status_code, "is not allowed" in refused.json()["detail"]) == (422, True)
    assert ask([{}]).status_code == 400
    assert ask([{"path": "a", "size": float("inf"), "sha256": "0" * 64}]).status_code == 400
    assert ask(files, visit()).status_code in (302, 401)
    large = ask([{"path": "l.bin", "size": 100 << 20, "sha256": "1" * 64}]).json()["objects"][0]
    assert large["actions"]["upload"]["header"]["chunk_size"] == str(32 << 20)
