"""Other rows, squashed histories and withdrawn versions lead past no comparison with the version before."""

import pytest
from django.utils import timezone

from registry.models import Repository, Revision
from registry.proof.verdicts import requests
from registry.proof.verified import verified as regression_overrides
from registry.proof.verified import withdrawals
from registry.proof.verified.regressions import find_earlier_rows
from registry.publish import branches, push
from registry.publish.push import MAIN, Inline, Intent
from registry.repos.eligibility import read_good_revisions
from tests.api.conftest import FILES, accuracy, pushed
from tests.registry.test_regressions import BASE, REASON, check_of, measured, outcome, verified

A, B, C = (letter * 64 for letter in "abc")


@pytest.fixture
def repository(cast, settings) -> Repository:
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    return cast.repository("acme/reviews")


@pytest.fixture
def version(cast, repository):
    """Push a version with its own rows, where there are any, and judge it by them and by those of earlier versions."""

    def one(words: str, own: dict | None, *earlier: dict, rows: str = "") -> Revision:
        files = {**FILES, "README.md": f"# {words}\n".encode(), **({"smoke.jsonl": rows.encode()} if rows else {})}
        revision = pushed(cast, repository, files=files)
        measured(revision, own or accuracy(40, name="neutral"), earlier=earlier)
        return revision

    return one


def on(rows: str, right: int, **more) -> dict:
    return {"revision": "1" * 40, "evaluation": accuracy(right, rows=rows, name="earlier", **more)}


def left_out(reason: str) -> dict:
    return {"revision": "1" * 40, "left_out": reason}


# --- the comparison --------------------------------------------------------------------------------------------------
def test_a_worse_version_with_other_rows_is_compared_on_those_of_the_verified_one(repository, version):
    good = version("good", accuracy(46, rows=A))
    worse = version("worse, and easy rows", accuracy(48, rows=B), on(A, 30))
    assert (outcome(worse), verified(repository)) == ("worse", good)
    assert "accuracy 0.62 after 0.96" in check_of(worse).message
    assert "48 rows of the verified version, mcnemar-exact" in check_of(worse).message
    alone = version("worse, and no rows", None, on(A, 30))
    assert (outcome(alone), verified(repository)) == ("worse", good)
    harder = version("as good, and harder rows", accuracy(25, rows=C), on(A, 46))
    assert (outcome(harder), verified(repository)) == ("equal", harder)


def test_rows_that_came_in_with_a_good_version_do_not_hide_the_next_one(repository, version):
    version("good", accuracy(46, rows=A))
    lax = version("as good, with lax rows", accuracy(48, rows=B), on(A, 46))
    assert verified(repository) == lax
    worse = version("worse on all but the lax rows", accuracy(48, rows=B), on(A, 30))
    assert (outcome(worse), verified(repository)) == ("worse", lax)
    assert "48 rows of an earlier version" in check_of(worse).message
    back = version("worse, and back to the first rows", accuracy(30, rows=A), on(B, 48))
    assert (outcome(back), verified(repository)) == ("worse", lax)


def test_an_override_ends_the_claim_of_rows_that_are_out_of_date(repository, cast, version):
    version("good", accuracy(46, rows=A))
    changed = version("another view of the same task", accuracy(46, rows=B), on(A, 20))
    regression_overrides.override(changed, cast.session("alice"), REASON)
    after = version("as good as that", accuracy(46, rows=B), on(A, 21))
    assert (outcome(after), verified(repository)) == ("equal", after)


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        ((), "Not comparable: the two versions were measured on other rows."),
        ((left_out("their labels are others"),), "were not run on this one (111111111111: their labels are others)."),
        ((on(C, 30),), "measured on other rows"),
        ((on(A, 30, task="TOKEN_CLS"),), "measured on other rows"),
        ((on(A, 30, metric="balanced-accuracy"),), "another number decides"),
        ((on(A, 30, of=40),), "measured on other rows"),
    ],
    ids=["none", "left out", "of a third version", "another task", "another number", "fewer rows"],
)
def test_rows_that_cannot_be_run_are_told_and_verified_moves(repository, version, earlier, words):
    version("good", accuracy(46, rows=A))
    other = version("other", accuracy(28, rows=B), *earlier)
    assert (outcome(other), verified(repository)) == ("incomparable", other)
    assert words in check_of(other).message


def test_of_several_adapters_each_meets_its_own_on_the_earlier_rows(repository, cast, version):
    contents = [{"path": path, "format": "peft", "kind": "lora", "proven": True} for path in ("x", "y")]

    def both(words: str, rows: str, x: int, y: int, earlier: list[dict]) -> Revision:
        revision = pushed(cast, repository, files={**FILES, "README.md": words.encode()})
        evals = [accuracy(right, rows=rows, name=f"{place}/smoke") for place, right in (("x", x), ("y", y))]
        measured(revision, evals[0], contents=contents, evals=evals, earlier=earlier)
        return revision

    first = both("first", A, 46, 46, [])
    second = both("second", B, 46, 46, [{**on(A, 46), "place": "x"}, {**on(A, 20), "place": "y"}])
    assert (outcome(second), verified(repository)) == ("worse", first)
    assert "(y): accuracy 0.42 after 0.96" in check_of(second).message


def several(*places: str) -> dict:
    return {"contents": [{"path": path, "format": "peft", "kind": "lora", "proven": True} for path in places]}


def test_another_adapter_or_folder_beside_it_leads_none_past_its_comparison(repository, cast):
    def version(words: str, right: dict[str, int], **more) -> Revision:
        revision = pushed(cast, repository, files={**FILES, "README.md": words.encode()})
        names = {place: f"{place}/smoke" if len(right) > 1 else "smoke" for place in right}
        evals = [accuracy(rows, rows=A, name=names[place]) for place, rows in right.items()]
        measured(revision, evals[0], evals=evals, path=next(iter(right)), **several(*right), **more)
        return revision

    first = version("one", {"x": 46})
    assert outcome(version("worse, with another one", {"x": 30, "y": 47})) == "worse"
    assert outcome(version("worse, in two other folders", {"v": 30, "w": 29})) == "worse"
    assert verified(repository) == first
    moved = version("as good in one of the other folders", {"v": 46, "w": 28})
    assert (outcome(moved), verified(repository)) == ("incomparable", moved)
    assert outcome(version("one of them moved, and is worse", {"v": 20, "u": 20})) == "worse"


# --- histories -------------------------------------------------------------------------------------------------------
def test_a_squash_keeps_the_version_to_compare_with(repository, cast, version):
    alice = cast.session("alice")
    good = version("good", accuracy(46))
    version("worse", accuracy(30))
    for message in ("one", "once more"):
        root = branches.squash(repository, "main", message, alice).revision
        assert root.parent is None
        assert (outcome(root), verified(repository)) == ("worse", good), "its commit is no longer in the history"
        version(f"worse, {message}", accuracy(29))
    after = version("good again", accuracy(45))
    assert (outcome(after), verified(repository)) == ("equal", after)
    root = branches.squash(repository, "main", "of a good one", alice).revision
    assert (outcome(root), verified(repository)) == ("equal", root)


def test_a_rewritten_history_keeps_what_a_squash_put_aside(repository, cast, version):
    alice = cast.session("alice")
    version("good", accuracy(46))
    pushed(cast, repository, files={"notes.txt": b"1"})
    root = branches.squash(repository, "main", "one", alice).revision
    old = root.replaces
    assert old is not None
    written = push.rewrite(old, None)
    assert written.replaces is None
    branches._follow(repository, {old.pk: written})
    root.refresh_from_db()
    assert root.replaces == written
    assert not Revision.objects.filter(pk=old.pk).exists()


def test_a_rewritten_history_never_goes_in_a_circle(repository, cast, version):
    first = version("good", accuracy(46))
    root = branches.squash(repository, "main", "one", cast.session("alice")).revision
    old = root.replaces
    again = Revision.objects.create(repository=repository, oid="9" * 40, parent=root, title="after", author=old.author)
    Revision.objects.filter(pk=old.pk).update(parent=None)
    branches._follow(repository, {old.pk: again})
    root.refresh_from_db()
    assert root.replaces is None
    assert read_good_revisions(repository.pk).newest(again.pk) in (None, root.pk, first.pk)


def test_a_yank_of_the_verified_version_leads_to_the_one_before_it(repository, cast, version):
    first = version("first", accuracy(46, rows=A))
    second = version("second", accuracy(46, rows=B), on(A, 46))
    worse = version("worse", accuracy(48, rows=C), on(B, 30), on(A, 30))
    assert verified(repository) == second
    withdrawals.yank(second, cast.session("bob"), "To get past it.")
    assert (outcome(worse), verified(repository)) == ("worse", first)


# --- the rows that a worker gets ------------------------------------------------------------------------------------
def chosen(revision: Revision, place: str = "", base: str = BASE["sha256"]) -> list[str]:
    return [rows.revision for rows in find_earlier_rows(revision, place, base)]


def test_a_worker_gets_the_rows_of_the_verified_version_and_the_oldest(repository, cast, version):
    first = version("first", accuracy(46, rows=A), rows="1")
    assert chosen(first) == []
    second = version("second", accuracy(46, rows=B), on(A, 46), rows="2")
    assert chosen(second) == [first.oid]
    third = version("third", accuracy(46, rows=C), on(B, 46), on(A, 46), rows="3")
    assert chosen(third) == [second.oid, first.oid]
    fourth = version("fourth", accuracy(28, rows=C), on(A, 20), rows="3")
    assert chosen(fourth) == [first.oid], "the rows of the verified one are its own"
    fifth = version("fifth", accuracy(46, rows=A), on(C, 46), rows="1")
    assert chosen(fifth) == [third.oid], "not those of a version that is held back"
    assert chosen(fifth, base="e" * 64) == [], "on another base nothing is compared"
    assert chosen(third) == [second.oid, first.oid], "however late it is proven again"


def test_the_rows_of_an_expired_version_are_gone_and_those_before_it_count(version):
    first = version("first", accuracy(46, rows=A), rows="1")
    second = version("second", accuracy(46, rows=B), on(A, 46), rows="2")
    third = version("third", accuracy(46, rows=C), on(B, 46), on(A, 46), rows="3")
    Revision.objects.filter(pk=second.pk).update(expired_at=timezone.now())
    second.files.all().delete()
    assert chosen(third) == [first.oid]
    Revision.objects.filter(pk=first.pk).update(expired_at=timezone.now())
    first.files.all().delete()
    assert chosen(third) == []


def test_an_adapter_that_moves_does_not_leave_the_oldest_rows_behind(repository, cast, version):
    first = version("first", accuracy(46, rows=A), rows="1")
    moved = pushed(cast, repository, files={**FILES, "smoke.jsonl": b"", "lora/smoke.jsonl": b"2"})
    measured(moved, accuracy(46, rows=B), earlier=[on(A, 46)], path="lora")
    after = pushed(cast, repository, files={**FILES, "README.md": b"# after\n"})
    assert chosen(after, place="lora") == [first.oid], "the rows of the version before are its own"
    assert chosen(after, place="other") == [moved.oid, first.oid]


def test_a_version_that_could_not_be_compared_begins_anew(version):
    version("first", accuracy(46, rows=A), rows="1")
    other = version("other task", accuracy(46, rows=B, task="TOKEN_CLS"), rows="2")
    third = version("third", accuracy(46, rows=C), rows="3")
    assert outcome(other) == "incomparable"
    assert chosen(third) == [other.oid]


def test_rows_of_a_version_that_still_waits_come_too(repository, cast, version):
    waiting = pushed(cast, repository, files={**FILES, "smoke.jsonl": b"1"})
    after = version("pushed right after it", accuracy(46, rows=B), rows="2")
    assert chosen(after) == [waiting.oid]


def test_rows_are_found_where_the_adapter_was_and_in_the_set_that_lent_them(repository, cast, version):
    dataset = cast.repository("acme/opinions", type="dataset")
    files = [Inline("smoke.jsonl", b"lent")]
    commit = push.receive(Intent(dataset, MAIN, cast.session("alice"), "rows"), files).revision.oid
    lent = version("measured on a set", accuracy(46, rows=A, name=f"acme/opinions@{commit[:8]}"))
    after = version("after it", accuracy(46, rows=B), on(A, 46), rows="2")
    found = find_earlier_rows(after, "", BASE["sha256"])
    assert [rows.revision for rows in found] == [lent.oid]
    assert found[0].sha256 == dataset.revisions.get(oid=commit).files.get(path="smoke.jsonl").sha256
    moved = pushed(cast, repository, files={**FILES, "README.md": b"# moved\n"})
    assert chosen(moved, place="lora")[:1] == [after.oid], "the folder of the adapter is another one now"


def test_the_label_names_of_the_earlier_card_come_with_its_rows(cast, repository):
    named = b"---\nlabel_names: [bad, good]\n---\n# Reviews\n"
    first = pushed(cast, repository, files={**FILES, "README.md": named, "smoke.jsonl": b"1"})
    measured(first, accuracy(46))
    after = pushed(cast, repository, files={**FILES, "README.md": b"# No names\n", "smoke.jsonl": b"2"})
    assert [rows.label_names for rows in find_earlier_rows(after, "", BASE["sha256"])] == [["bad", "good"]]


def test_the_report_keeps_the_earlier_rows_through_a_squash(cast, repository, version):
    version("good", accuracy(46, rows=A))
    version("other rows", accuracy(46, rows=B), on(A, 46))
    root = branches.squash(repository, "main", "one", cast.session("alice")).revision
    earlier = requests.current(root).report.earlier
    assert earlier
    assert earlier[0].evaluation
    assert earlier[0].evaluation.rows_sha256 == A
