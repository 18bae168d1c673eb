"""A push in several commits: the last one gets the verdict, the event and `verified`, and a half gets none of them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from registry.kernel import site_settings
from registry.models import Event, OpenPush, Revision, Verdict
from registry.proof.verdicts import requests
from registry.publish import open_pushes
from registry.repos import pull, refs
from registry.repos.refs import MAIN
from registry.talk import dispatch
from tests.adapters import MINILM, lora
from tests.hf.wire import Wire, file, header, lfs_file

NAME = "acme/parts"


@pytest.fixture
def repo(cast):
    return cast.repository(NAME)


@pytest.fixture
def adapter(wire: Wire, repo) -> list[dict]:
    """The lines of a commit that brings a whole adapter, whose weights are delivered."""
    files = lora(MINILM, rank=8)
    for path, content in files.items():
        if path.endswith(".safetensors"):
            wire.deliver(NAME, content)
    return [
        lfs_file(path, content) if path.endswith(".safetensors") else file(path, content)
        for path, content in files.items()
    ]


def announce(wire: Wire, *lines: dict, rev: str = "main", who: str = "alice", size: int = 0) -> None:
    """Ask how files travel, 256 at a time, as huggingface_hub does before it commits them."""
    sizes = {line["value"]["path"]: line["value"].get("size") or size or _size(line) for line in lines}
    asked = [{"path": path, "size": size} for path, size in sizes.items()]
    for start in range(0, len(asked), 256):
        body = {"files": asked[start : start + 256]}
        assert wire.ask("POST", f"/api/models/{NAME}/preupload/{rev}", body, who=who).status_code == 200


def _size(line: dict) -> int:
    return len(line["value"]["content"]) * 3 // 4 - line["value"]["content"].count("=")


def notes(count: int, content: bytes = b"note", first: int = 0) -> list[dict]:
    return [file(f"notes/{number:04}.txt", content) for number in range(first, first + count)]


def commit(wire: Wire, *lines: dict, title: str = "Push", who: str = "alice", rev: str = "main") -> Revision:
    answer = wire.commit(NAME, header(title), *lines, who=who, rev=rev)
    assert answer.status_code == 200, answer.content
    return Revision.objects.get(oid=answer.json()["commitOid"])


def pushes() -> list[str]:
    """The commits that the feed names, after the creation of the repository."""
    dispatch.run()
    return list(Event.objects.filter(kind="push").order_by("pk").values_list("revision", flat=True))[1:]


def fall_silent(seconds: int) -> None:
    """Let the hub hear nothing for this long, and sweep."""
    OpenPush.objects.update(heard_at=timezone.now() - timedelta(seconds=seconds))
    open_pushes.sweep()


def is_queued(revision: Revision) -> bool:
    """Return whether the verdict waits for nothing but its base, which no test here has."""
    waiting = Verdict.objects.filter(revision=revision, state="queued", not_before=None)
    return waiting.filter(reason__startswith="Waiting for the base").exists()


def test_a_push_in_one_commit_waits_for_nothing(wire: Wire, adapter):
    announce(wire, *adapter)
    only = commit(wire, *adapter)
    assert pushes() == [only.oid]
    assert is_queued(only)
    assert not OpenPush.objects.exists()


def test_the_last_of_three_commits_gets_the_verdict_and_the_event(wire: Wire, repo, adapter):
    head = refs.resolve_ref(repo, MAIN)
    announce(wire, *adapter, *notes(594))
    first = commit(wire, *adapter, *notes(244))
    assert pushes() == []
    assert not is_queued(first)
    assert "last one gets the verdict" in requests.current(first).reason
    second = commit(wire, *notes(250, first=244), title="Push (part 2)")
    assert pushes() == []
    last = commit(wire, *notes(100, first=494), title="Push (part 3)")
    assert pushes() == [last.oid]
    assert [verdict.revision for verdict in Verdict.objects.all()] == [last]
    assert is_queued(last)
    assert not OpenPush.objects.exists()
    parts = Revision.objects.filter(is_part=True).order_by("pk")
    assert list(parts) == [first, second], "the history is whole"
    assert last.parent == second
    assert first.parent == head


def test_a_half_is_served_to_nobody_who_is_served_verified_versions_alone(wire: Wire, cast, adapter, settings):
    settings.FIRST_PULL_POLICY = "verified"
    site_settings.clear_cache()
    announce(wire, *adapter, *notes(20))
    first = commit(wire, *adapter, *notes(10))
    commit(wire, *notes(10, first=10), title="Push (part 2)")
    path = f"/{NAME}/resolve/{first.oid}/notes/0001.txt"
    assert wire.get(path, who="carol").status_code == 403
    assert wire.get(path, who="alice").status_code == 200
    assert not pull.downloadable(cast.session("carol")).filter(revision=first).exists()
    answer = wire.get(f"/api/v1/adapters/{NAME}/revisions/{first.oid}/verdict")
    assert (answer.status_code, answer.json()["code"]) == (404, "verdict-not-applicable")
    assert "an intermediate commit of a push" in answer.json()["detail"]


def test_a_refused_commit_that_is_sent_in_pieces_is_one_push(wire: Wire, adapter):
    announce(wire, *adapter, *notes(27))
    refused = wire.commit(NAME, header("Push"), *adapter, *notes(27), file("../outside"))
    assert refused.status_code == 422
    commit(wire, *adapter, *notes(17))
    assert pushes() == []
    last = commit(wire, *notes(10, first=17), title="Push (part 2)")
    assert pushes() == [last.oid]
    assert Verdict.objects.get().revision == last


def test_a_push_that_breaks_off_settles_is_told_as_incomplete_and_never_verified(wire: Wire, repo, adapter, settings):
    announce(wire, *adapter, *notes(400))
    first = commit(wire, *adapter, *notes(244))
    fall_silent(settings.PUSH_QUIET_SECONDS - 1)
    assert pushes() == []
    fall_silent(settings.PUSH_QUIET_SECONDS + 1)
    assert pushes() == [first.oid]
    assert is_queued(first)
    first.refresh_from_db()
    assert first.files_missing == 156
    answer = wire.get(f"/api/v1/adapters/{NAME}/revisions/main/verdict").json()
    assert "156 of the files" in answer["incomplete"]
    Verdict.objects.filter(revision=first).update(state="passed", finished_at=timezone.now(), turn=None)
    requests.refresh(repo)
    assert not repo.refs.filter(name=refs.VERIFIED).exists()


def test_a_client_that_is_started_again_completes_the_push(wire: Wire, repo, adapter):
    head = refs.resolve_ref(repo, MAIN)
    announce(wire, *adapter, *notes(400))
    first = commit(wire, *adapter, *notes(244))
    announce(wire, *adapter, *notes(400))
    last = commit(wire, *notes(156, first=244))
    fall_silent(open_pushes.BRIEF_SECONDS + 1)  # the files that came before are announced again, and not sent
    assert pushes() == [last.oid]
    last.refresh_from_db()
    assert (last.files_missing, last.is_part) == (0, False)
    assert Verdict.objects.get().revision == last
    assert Revision.objects.get(is_part=True) == first
    assert first.parent == head


def test_files_of_the_same_size_may_be_unchanged_so_a_small_push_does_not_wait_for_them(wire: Wire, adapter):
    announce(wire, *adapter)
    commit(wire, *adapter)
    card = file("README.md", b"# Another card\n")
    announce(wire, *adapter[:-1], card)
    second = commit(wire, card)
    assert pushes()[-1] == second.oid
    assert not OpenPush.objects.exists()


def test_a_commit_of_somebody_else_on_top_of_a_half_waits_too(wire: Wire, adapter):
    announce(wire, *adapter, *notes(30), rev="main")
    commit(wire, *adapter, *notes(10))
    between = commit(wire, file("typo.txt"), title="Fix a typo", who="bob")
    assert not is_queued(between)
    last = commit(wire, *notes(20, first=10), title="Push (part 2)")
    assert is_queued(last)
    assert Verdict.objects.get().revision == last


def test_a_proposal_in_parts_is_one_push(wire: Wire, adapter):
    announce(wire, *adapter, *notes(30), rev="main?create_pr=1")
    opened = wire.commit(NAME, header("Push"), *adapter, *notes(10), rev="main?create_pr=1").json()
    assert pushes() == []
    number = opened["pullRequestUrl"].rpartition("/")[2]
    last = commit(wire, *notes(20, first=10), title="Push (part 2)", rev=f"refs%2Fpr%2F{number}")
    assert pushes() == [last.oid]
    assert Verdict.objects.get().revision == last


def test_a_commit_that_arrives_slowly_is_a_sign_of_life(wire: Wire, cast, repo, adapter, settings):
    announce(wire, *adapter, *notes(30))
    commit(wire, *adapter, *notes(10))
    OpenPush.objects.update(heard_at=timezone.now() - timedelta(seconds=settings.PUSH_QUIET_SECONDS + 1))
    lines = open_pushes.listen(iter(["header", "file"]), repo, cast.session("alice"))
    assert next(lines) == "header"
    assert open_pushes.sweep() == 0
    assert pushes() == []
