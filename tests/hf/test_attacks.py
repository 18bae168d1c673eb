"""Attacks on the Hub's routes; each test shows that an attempt gains nothing."""

import json
import re
import time
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import IntegrityError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.bytes import intake
from registry.kernel.errors import RepositoryNotFound, RepositoryQuarantined
from registry.models import OpenPush, Ref, Repository, Token, Upload
from registry.moderation import quarantine, suspension
from registry.publish import branches, open_pushes, repositories, uploads
from registry.publish.push import request
from registry.repos.contents import card
from tests.hf.wire import Wire, deleted, file, header, lfs_file

NAME = "alice/reviews-lora"


@pytest.fixture
def repo(cast):
    return cast.repository(NAME)


def code(response) -> str:
    return json.loads(response.content)["code"]


# --- what is proven stays proven -------------------------------------------------------------------------------------
@pytest.mark.parametrize("ref", ["refs/verified", "refs/tags/v1"])
def test_no_push_moves_what_only_verdicts_and_tags_say(wire: Wire, repo, ref):
    proven = repo.refs.get(name="refs/heads/main").revision
    Ref.objects.create(repository=repo, name=ref, revision=proven)
    answer = wire.commit(NAME, header(), file("evil.txt"), rev=ref.replace("/", "%2F"))
    assert (answer.status_code, code(answer)) == (403, "ref-protected")
    assert repo.refs.get(name=ref).revision == proven


@pytest.mark.parametrize("ref", ["refs/verified", "refs/tags/v1"])
def test_nobody_proposes_a_change_to_them(wire: Wire, repo, ref):
    proven = repo.refs.get(name="refs/heads/main").revision
    Ref.objects.create(repository=repo, name=ref, revision=proven)
    path = f"/api/models/{NAME}/commit/{ref.replace('/', '%2F')}?create_pr=1"
    body = b"\n".join(json.dumps(line).encode() for line in (header(), file("fix.txt")))
    answer = wire.ask("POST", path, body)
    assert (answer.status_code, code(answer)) == (403, "ref-protected")
    assert repo.refs.get(name=ref).revision == proven
    assert not repo.refs.filter(name="refs/pr/1").exists()


# --- rights that ended -----------------------------------------------------------------------------------------------
def test_an_upload_address_ends_with_the_token_that_asked_for_it(wire: Wire, repo):
    href = wire.offer(NAME, b"promised").json()["objects"][0]["actions"]["upload"]["href"]
    Token.objects.all().delete()
    answer = wire.put(href, b"promised")
    assert (answer.status_code, code(answer)) == (401, "token-invalid")
    assert not repo.uploaded_blobs.filter(blob__size=len(b"promised")).exists()


def test_an_upload_address_ends_with_its_owners_account(wire: Wire, cast):
    cast.repository("acme/shared", by="alice")
    href = wire.offer("acme/shared", b"promised", who="bob").json()["objects"][0]["actions"]["upload"]["href"]
    suspension.suspend(cast["bob"], cast.session("mona"), reason="Floods the hub.")
    answer = wire.put(href, b"promised")
    assert (answer.status_code, code(answer)) == (403, "upload-expired")


def test_a_quarantine_that_came_in_between_keeps_the_visibility(cast):
    stale = cast.repository("alice/evidence")
    quarantine.quarantine(Repository.objects.get(), cast.session("mona"), reason="Steals secrets.")
    with pytest.raises(RepositoryQuarantined):
        repositories.set_private(stale, True, cast.session("alice"))
    assert not Repository.objects.get().private


# --- questions that cost too much, or none that we asked for ---------------------------------------------------------
def test_a_cursor_serves_only_the_order_it_came_from(wire: Wire, cast):
    for number in range(2):
        cast.repository(f"alice/a{number}")
    for first, second in (("downloads", "createdAt"), ("createdAt", "downloads"), ("lastModified", "downloads")):
        link = wire.get(f"/api/models?limit=1&sort={first}").headers["Link"]
        cursor = re.search(r"cursor=([^&>]+)", link)[1]
        assert wire.get(f"/api/models?limit=1&sort={first}&cursor={cursor}").status_code == 200
        answer = wire.get(f"/api/models?limit=1&sort={second}&cursor={cursor}")
        assert (answer.status_code, code(answer)) == (400, "value-invalid")


def test_a_thousand_filters_are_refused(wire: Wire, db):
    answer = wire.get("/api/models?filter=" + ",".join(f"t{number}" for number in range(1200)))
    assert (answer.status_code, code(answer)) == (400, "value-invalid")


def test_many_paths_may_be_asked_about_at_once(wire: Wire, repo):
    form = "&".join(["paths=.gitattributes", *(f"paths=no-{number}" for number in range(3000))]).encode()
    path = f"/api/models/{NAME}/paths-info/main"
    answer = wire.ask("POST", path, form, Content_Type="application/x-www-form-urlencoded")
    assert [one["path"] for one in answer.json()] == [".gitattributes"]


# --- what authors write ----------------------------------------------------------------------------------------------
def test_half_a_character_in_a_config_breaks_no_page(wire: Wire, repo):
    for key in ("base_model_name_or_path", "peft_type", "target_modules", "\ud800"):
        config = {"peft_type": "LORA", "r": 8} | {key: ["a\ud800"] if key.startswith("target") else "a\ud800"}
        wire.push(NAME, {"adapter_config.json": json.dumps(config).encode()}, summary=key.strip("\ud800") or "key")
        for path in (f"/api/v1/adapters/{NAME}/revisions/main", f"/api/models/{NAME}", "/api/models?full=1"):
            assert wire.get(path).status_code == 200, (key, path)
        for path in (f"/{NAME}", f"/{NAME}/verdict/main", f"/{NAME}/blob/main/adapter_config.json", "/adapters"):
            assert Client().get(path).status_code == 200, (key, path)


TWINS = ["a:b", "c:/x", ".git::$INDEX_ALLOCATION/hooks", "a\u00adb", "a\u061cb", "a\u2028b", "a\U000e0041b", "\ufeffx"]


@pytest.mark.parametrize("path", TWINS, ids=ascii)
def test_no_path_looks_like_another_or_means_one_on_windows(wire: Wire, repo, path):
    answer = wire.commit(NAME, header(), file(path))
    assert (answer.status_code, code(answer)) == (422, "path-invalid")


# --- what a quarantine holds back ------------------------------------------------------------------------------------
@pytest.fixture
def held(wire: Wire, cast, repo):
    """A revision of main with a small file and a large one, which a moderator then held back; carol saw it before."""
    before = wire.push(NAME, {"secret.txt": b"the password\n"})
    wire.deliver(NAME, b"large secret")
    assert wire.commit(NAME, header(), lfs_file("secret.bin", b"large secret")).status_code == 200
    revision = repo.refs.get(name="refs/heads/main").revision
    assert wire.propose(NAME, deleted("secret.txt"), deleted("secret.bin"), who="carol").status_code == 200
    quarantine.quarantine(repo, cast.session("mona"), reason="Holds a password.", revision=revision)
    assert wire.ask("POST", f"/api/models/{NAME}/branch/old", {"startingPoint": before}).status_code == 200
    return revision


def test_a_proposal_on_top_of_a_quarantined_revision_is_no_way_to_its_files(wire: Wire, repo, held):
    answer = wire.propose(NAME, file("fix.txt"), who="carol")
    assert (answer.status_code, code(answer)) == (404, "revision-not-found")
    assert not repo.refs.filter(name="refs/pr/2").exists()
    asked = {"files": [{"path": "secret.txt", "size": 13}]}
    answer = wire.ask("POST", f"/api/models/{NAME}/preupload/main?create_pr=1", asked, who="carol")
    assert (answer.status_code, code(answer)) == (404, "revision-not-found")
    assert wire.push(NAME, {"fix.txt": b"hello"}), "who may write there sets it right by a new revision"


def test_what_moderators_hold_back_of_a_proposal_is_not_merged(wire: Wire, cast, repo):
    assert wire.propose(NAME, file("fix.txt"), file("more.txt"), who="carol").status_code == 200
    wire.push(NAME, {"other.txt": b"so that the merge has files that nobody has held back\n"})
    revision = repo.refs.get(name="refs/pr/1").revision
    quarantine.quarantine(repo, cast.session("mona"), reason="Holds a password.", revision=revision)
    answer = wire.ask("POST", f"/api/models/{NAME}/discussions/1/merge", b"null", who="alice")
    assert (answer.status_code, code(answer)) == (403, "adapter-quarantined")
    quarantine.release(repo, cast.session("mona"), reason="It was none.", revision=revision)
    assert wire.ask("POST", f"/api/models/{NAME}/discussions/1/merge", b"null", who="alice").status_code == 200


def test_a_quarantine_that_comes_while_a_proposal_is_written_counts(wire: Wire, cast, repo, held):
    quarantine.release(repo, cast.session("mona"), reason="Perhaps not.", revision=held)
    compose = request.compose

    def interrupted(*asked):
        draft = compose(*asked)
        quarantine.quarantine(repo, cast.session("mona"), reason="It does.", revision=held)
        return draft

    with patch.object(request, "compose", interrupted):
        answer = wire.propose(NAME, file("fix.txt"), who="carol")
    assert (answer.status_code, code(answer)) == (404, "revision-not-found")
    assert not repo.refs.filter(name="refs/pr/2").exists()


def test_the_digest_of_a_quarantined_file_is_no_way_to_have_it(wire: Wire, held):
    answer = wire.offer(NAME, b"large secret", who="carol")
    assert "actions" in answer.json()["objects"][0], "whether it is here is not said"
    answer = wire.propose(NAME, lfs_file("mine.bin", b"large secret"), rev="old", who="carol")
    assert (answer.status_code, code(answer)) == (400, "blob-unknown")
    assert wire.commit(NAME, header(), lfs_file("mine.bin", b"large secret"), rev="old").status_code == 200


SECRET = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x/secret", "r": 8}).encode()


def copied(path: str, source: str) -> dict:
    return {"key": "copyFile", "value": {"path": path, "srcPath": source}}


@pytest.fixture
def gated(wire: Wire, repo) -> None:
    assert wire.deliver(NAME, SECRET).status_code == 200
    lines = [
        lfs_file("weights.onnx", SECRET),
        file("data.json", SECRET),
        file("words.txt", b"---\ntags: [secret]\n---"),
    ]
    assert wire.commit(NAME, header(), *lines).status_code == 200
    wire.ask("PUT", f"/api/models/{NAME}/settings", {"gated": "manual"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (copied("README.md", "words.txt"), "access-required"),
        (copied("adapter_config.json", "data.json"), "access-required"),
        (lfs_file("adapter_config.json", SECRET), "blob-unknown"),
        (lfs_file("README.md", SECRET), "blob-unknown"),
    ],
)
def test_no_proposal_shows_what_lies_behind_a_gate(wire: Wire, repo, gated, line: dict, said: str):
    answer = wire.propose(NAME, line, who="carol")
    assert code(answer) == said
    assert not repo.refs.filter(name="refs/pr/1").exists()
    wire.ask("POST", f"/api/models/{NAME}/user-access-request/grant", {"user": "carol"})
    assert wire.propose(NAME, line, who="carol").status_code == 200


def test_who_may_not_pass_a_gate_proposes_again_what_he_brought_himself(wire: Wire, repo, gated):
    mine = b"bytes of my own"
    assert wire.deliver(NAME, mine, who="carol").status_code == 200
    for path in ("a.bin", "b.bin"):
        assert wire.propose(NAME, lfs_file(path, mine), who="carol").status_code == 200


def test_the_history_of_a_quarantined_revision_is_read_by_those_who_see_it(wire: Wire, repo, held):
    at = f"/api/models/{NAME}/commits/{held.oid}"
    assert next(one["id"] for one in wire.get(at).json()) == held.oid
    refused = wire.get(at, who="carol")
    assert (refused.status_code, code(refused)) == (404, "revision-not-found")


def test_a_diff_against_a_quarantined_revision_is_not_shown(wire: Wire, held):
    path = f"/api/models/{NAME}/discussions/1?diff=1"
    for who in ("carol", "nobody", "alice"):
        assert wire.get(path, who=who).json()["diff"] == "", who


# --- floods ----------------------------------------------------------------------------------------------------------
def test_an_adapter_has_only_so_many_branches_and_tags(wire: Wire, repo, monkeypatch):
    monkeypatch.setattr(branches, "MAX_REFS", 3)
    roads = [wire.ask("POST", f"/api/models/{NAME}/branch/{name}", {}) for name in ("a", "b", "c")]
    assert [road.status_code for road in roads] == [200, 200, 403]
    assert code(wire.ask("POST", f"/api/models/{NAME}/tag/main", {"tag": "v1"})) == "quota-exceeded"
    assert wire.propose(NAME, file("a.txt"), who="carol").status_code == 200, "proposals are not among them"


def test_only_so_many_uploads_of_a_person_wait_for_their_bytes(wire: Wire, cast, repo, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_TICKETS", 2)
    assert [wire.offer(NAME, data).status_code for data in (b"one", b"two", b"three")] == [200, 200, 429]
    assert wire.offer(NAME, b"one", who="carol").status_code == 200
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert wire.deliver(NAME, b"three").status_code == 200


# --- two at once -----------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)  # rows that point nowhere are found out at the end of a transaction
def test_a_push_into_what_is_deleted_meanwhile_finds_nothing_there(wire: Wire, cast, repo):
    store = intake.store_verified

    def delete() -> None:
        if Repository.objects.exists():
            repositories.delete(Repository.objects.get(), cast.session("alice"))

    with patch.object(intake, "store_verified", lambda *what: (store(*what), delete())):
        answer = wire.commit(NAME, header(), file("a.txt"))
    assert (answer.status_code, code(answer)) == (404, "adapter-not-found")
    cast.repository(NAME)
    with patch.object(intake, "timedelta", lambda **span: (delete(), timedelta(**span))[1]):
        answer = wire.offer(NAME, b"large")
    assert answer.json()["objects"][0]["error"]["code"] == 404


def test_an_announcement_for_a_repository_that_goes_meanwhile_finds_none(wire: Wire, cast, repo):
    gone = Repository.objects.get(pk=repo.pk)
    with patch.object(OpenPush, "save", side_effect=IntegrityError):
        repo.delete()
        with pytest.raises(RepositoryNotFound):
            open_pushes.expect(gone, "refs/heads/main", cast["alice"], {"a": 1}, {})


def test_no_letter_beyond_ascii_is_another_spelling_of_a_name(wire: Wire, cast):
    cast.repository("alice/book")
    assert wire.get("/api/models/ALICE/BooK").status_code == 200
    assert wire.get("/api/models/alice/boo%E2%84%AA").status_code == 404, "the sign for kelvin"
    assert Client().get("/alice/boo%E2%84%AA").status_code == 404


# --- what is not said ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["nobody", "carol", "mona"])
def test_what_is_private_takes_the_questions_of_what_is_missing(wire: Wire, cast, who):
    cast.repository("acme/covert", private=True)
    counted = []
    for name in ("acme/coyert", "acme/covert"):
        wire.get("/api/models/acme/other", who=who)  # a token's first use of a minute is written down
        with CaptureQueriesContext(connection) as asked:
            assert wire.get(f"/api/models/{name}", who=who).status_code in (401, 404)
        counted.append(len(asked))
    assert counted[0] == counted[1]


def test_bytes_that_others_keep_to_themselves_take_the_questions_of_bytes_that_nobody_has(wire: Wire, cast):
    cast.repository("acme/covert", private=True)
    cast.repository("carol/own", by="carol")
    wire.deliver("acme/covert", b"covert weights")
    wire.commit("acme/covert", header(), lfs_file("w.bin", b"covert weights"))
    counted: dict[bytes, list[int]] = {}
    for content in (b"known to nobody", b"coyert weights", b"covert weights"):
        for ask in (
            wire.offer,
            lambda name, content, who: wire.commit(name, header(), lfs_file("x", content), who=who),
        ):
            with CaptureQueriesContext(connection) as asked:
                ask("carol/own", content, who="carol")
            counted.setdefault(content, []).append(len(asked))
    assert counted[b"covert weights"] == counted[b"coyert weights"]


def test_a_push_deletes_only_so_many_folders(wire: Wire, repo):
    wire.push(NAME, {f"d{number}/f": b"" for number in range(3)})
    with patch.object(request, "MAX_FOLDERS_DELETED", 2):
        answer = wire.commit(NAME, header(), *(deleted(f"d{number}", "deletedFolder") for number in range(3)))
        assert (answer.status_code, code(answer)) == (413, "push-too-large")
        assert wire.commit(NAME, header(), deleted("d0"), deleted("d1"), deleted("d2/f")).status_code == 200


def test_a_card_of_brackets_is_summed_up_in_no_time():
    started = time.process_time()
    assert card.parse_card("a" + "[" * 100_000).summary.startswith("a[[")
    assert time.process_time() - started < 0.5
