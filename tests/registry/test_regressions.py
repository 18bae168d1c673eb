"""The regression gate: which versions `verified` passes by, who overrides that, and who hears of it."""

import pytest

from registry.kernel.errors import NotAllowed, ValueInvalid, VersionNotHeld
from registry.models import AuditEvent, Event, OutboxEvent, Ref, Regression, Repository, Revision
from registry.proof.verdicts import requests
from registry.proof.verified import verified as regression_overrides
from registry.proof.verified import withdrawals
from registry.repos import refs
from registry.talk import dispatch
from tests.api.conftest import FILES, accuracy, judged, pushed
from tests.sweep import at_merge, sweep

ROWS = "a" * 64
BASE = {"id": "tiny/bert", "revision": "r", "sha256": "b" * 64}
REASON = "The new rows are harder, and the old number was luck."


def losses(*, by: float, of: int = 16, spread: float = 0.0) -> dict:
    scores = [2 + at / of + by + spread * (-1) ** at for at in range(of)]
    return {"name": "smoke", "rows": of, "metric": "loss", "better": "lower", "base": 3.0, "adapter": 2.5 + by,
            "scores": scores, "rows_sha256": ROWS, "task": "CAUSAL_LM"}  # fmt: skip


@pytest.fixture
def repository(cast, settings, tmp_path) -> Repository:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    return cast.repository("acme/reviews")


@pytest.fixture
def push(cast, repository):
    def one(words: str) -> Revision:
        return pushed(cast, repository, files={**FILES, "README.md": f"# {words}\n".encode()})

    return one


def measured(revision: Revision, evaluation: dict, base: dict = BASE, **more):
    return judged(revision, **{"evals": [evaluation], "base": base, "depth": "evaluated", **more})


@pytest.fixture
def version(push):
    def one(words: str, evaluation: dict, **more) -> Revision:
        revision = push(words)
        measured(revision, evaluation, **more)
        return revision

    return one


def verified(repository: Repository) -> Revision | None:
    row = Ref.objects.filter(repository=repository, name=refs.VERIFIED).select_related("revision").first()
    return row.revision if row else None


def outcome(revision: Revision) -> str:
    return Regression.objects.get(revision=revision).outcome


def check_of(revision: Revision):
    return next((check for check in requests.current(revision).report.checks if check.id == "eval.regression"), None)


# --- which version becomes verified ----------------------------------------------------------------------------------
@pytest.mark.parametrize("folder", ["null", "1e3"])
def test_the_name_of_a_folder_is_a_name_whatever_it_looks_like(repository, version, folder):
    good = version("good", accuracy(46), path="a")
    worse = version("worse", accuracy(30), path=folder)
    assert (verified(repository), outcome(worse)) == (good, "worse")
    assert f"folder a → {folder}" in check_of(worse).message


def test_a_version_that_is_worse_beyond_chance_passes_and_does_not_become_verified(repository, version):
    good = version("good", accuracy(46))
    worse = version("worse", accuracy(30))
    assert requests.current(worse).state == "passed", "it loads and works"
    assert verified(repository) == good
    check = check_of(worse)
    assert check.outcome == "warned"
    assert "0.62 after 0.96" in check.message
    assert "48 rows, mcnemar-exact" in check.message
    assert "as an owner" in check.fix
    low, high = check.where["interval"]
    assert low < check.where["difference"] == -0.3333 < high < 0
    assert check_of(good) is None, "the first version is compared with nothing"
    better = version("better", accuracy(47))
    assert verified(repository) == better
    assert check_of(better).outcome == "passed"
    assert Regression.objects.get(revision=better).against == good, "not with the one that was passed by"


def test_a_few_rows_fewer_are_chance(repository, version):
    version("first", accuracy(46))
    second = version("second", accuracy(41))  # five rows lost of 48: p = 0.03
    assert verified(repository) == second
    assert outcome(second) == "equal"


def test_a_rounding_on_every_row_is_beyond_chance_and_below_what_counts(repository, version):
    version("first", losses(by=0))
    second = version("second", losses(by=0.002))
    assert (outcome(second), verified(repository)) == ("equal", second)
    third = version("third", losses(by=0.2))
    assert (outcome(third), verified(repository)) == ("worse", second)
    fourth = version("fourth", losses(by=-0.4))
    assert (outcome(fourth), verified(repository)) == ("better", fourth)


def test_losses_that_go_up_and_down_are_chance(repository, version):
    version("first", losses(by=0))
    second = version("second", losses(by=0.05, spread=0.5))
    assert (outcome(second), verified(repository)) == ("equal", second)


@sweep(
    "change, words",
    [
        ({"evaluation": accuracy(28, rows="c" * 64)}, "other rows"),
        ({"evaluation": accuracy(28, task="TOKEN_CLS")}, "other rows"),
        ({"evaluation": accuracy(28, metric="balanced-accuracy")}, "another number decides"),
        ({"evaluation": accuracy(28, scores=None)}, "this version has no numbers row by row"),
        ({"evaluation": accuracy(28), "base": {**BASE, "sha256": "d" * 64}}, "other files of tiny/bert"),
        ({"evaluation": accuracy(28, name="neutral")}, "this version has no numbers row by row"),
        ({"evaluation": accuracy(28, weights=[1.0] * 47)}, "no measurement"),
        ({"evaluation": accuracy(28, weights=[1.0, -1.0] * 24)}, "no measurement"),
        ({"evaluation": accuracy(28, weights=[1e300] * 48)}, "no measurement"),
        ({"evaluation": accuracy(28, scores=[1e300, -1e300] * 24)}, "no measurement"),
    ],
)
def test_what_cannot_be_compared_says_so_and_becomes_verified(repository, version, change, words):
    version("good", accuracy(46))
    other = version("other", **change)
    assert (outcome(other), verified(repository)) == ("incomparable", other)
    assert check_of(other).outcome == "skipped"
    assert words in check_of(other).message


def test_rows_that_nobody_names_are_not_the_same_rows(repository, version):
    version("good", accuracy(46, rows=None))
    other = version("other", accuracy(28, rows=None))
    assert (outcome(other), verified(repository)) == ("incomparable", other)


def test_another_engine_or_folder_is_told_of_and_compared(repository, version):
    version("good", accuracy(46), engine={"name": "e5", "dtype": "float32"}, conditions={"seed": 0})
    worse = version("worse", accuracy(30), engine={"name": "e4", "dtype": "bfloat16"}, path="lora",
                    conditions={"seed": 1})  # fmt: skip
    assert outcome(worse) == "worse"
    for note in ("engine e5 → e4", "dtype float32 → bfloat16", "folder the top → lora", "seed 0 → 1"):
        assert note in check_of(worse).message


def test_of_several_adapters_the_worst_decides_and_each_meets_its_own(repository, push):
    contents = [{"path": path, "format": "peft", "kind": "lora", "proven": True} for path in "ab"]

    def both(revision: Revision, a: int, b: int, names: str = "ab"):
        evals = [accuracy(right, name=f"{name}/smoke") for name, right in zip(names, (a, b), strict=True)]
        judged(revision, evals=evals, base=BASE, depth="evaluated", contents=contents)

    first, second, third, fourth = (push(words) for words in ("first", "second", "third", "fourth"))
    both(first, 46, 40)
    both(second, 46, 20)
    assert (outcome(second), verified(repository)) == ("worse", first)
    assert "(b/smoke)" in check_of(second).message
    both(third, 20, 40, names="ac")
    assert (outcome(third), verified(repository)) == ("worse", first), "another folder beside it does not hide a"
    both(fourth, 46, 40, names="ac")
    assert (outcome(fourth), verified(repository)) == ("incomparable", fourth), "b is gone, c is new"


# --- orders and changes ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), *at_merge(((0, 2, 1),), ((1, 2, 0),))])
def test_the_order_of_the_verdicts_decides_nothing(repository, push, order):
    revisions = [push(word) for word in ("one", "two", "three")]
    for at in order:
        measured(revisions[at], accuracy((30, 46, 32)[at]))
    assert verified(repository) == revisions[1], "the third is better than the first and worse than the second"
    assert Regression.objects.get(revision=revisions[2]).against == revisions[1]


def test_a_version_is_compared_anew_when_the_one_before_is_withdrawn(repository, cast, version):
    oldest = version("oldest", accuracy(30))
    good = version("good", accuracy(46))
    newest = version("newest", accuracy(31))
    assert verified(repository) == good
    withdrawals.yank(good, cast.session("bob"), "It had seen the rows.")
    assert (outcome(newest), verified(repository)) == ("equal", newest)
    assert Regression.objects.get(revision=newest).against == oldest
    withdrawals.unyank(good, cast.session("bob"))
    assert (outcome(newest), verified(repository)) == ("worse", good)
    assert check_of(newest).outcome == "warned"
    withdrawals.yank(good, cast.session("bob"), "It had seen the rows.")
    withdrawals.yank(oldest, cast.session("bob"), "So had this.")
    assert (outcome(newest), verified(repository)) == ("incomparable", newest), "nothing is left to compare it with"


def test_a_new_proof_of_the_older_version_is_compared_with(repository, version):
    good = version("good", accuracy(46))
    newest = version("newest", accuracy(30))
    assert verified(repository) == good
    requests.again(good, None)
    assert verified(repository) == good, "while it is proven again its last answer counts"
    measured(good, accuracy(31))
    assert (outcome(newest), verified(repository)) == ("equal", newest)
    requests.again(newest, None)
    judged(newest, "failed")
    assert verified(repository) == good


def test_a_comparison_is_made_once(repository, version, django_assert_max_num_queries):
    for number in range(4):
        version(f"version {number}", accuracy(40))
    times = set(Regression.objects.values_list("compared_at", flat=True))
    with django_assert_max_num_queries(13):
        requests.refresh(repository)
    assert set(Regression.objects.values_list("compared_at", flat=True)) == times


# --- overrides -------------------------------------------------------------------------------------------------------
@pytest.fixture
def held(version):
    return version("good", accuracy(46)), version("worse", accuracy(30))


def test_an_owner_overrides_with_a_reason_and_takes_it_back(repository, cast, held):
    good, worse = held
    alice = cast.session("alice")
    assert regression_overrides.override(worse, alice, REASON)
    assert not regression_overrides.override(worse, alice, "Another good reason."), "the first reason is kept"
    assert verified(repository) == worse
    row = Regression.objects.get(revision=worse)
    assert (row.override_by, row.override_reason, row.is_held) == (alice.user, REASON, False)
    assert check_of(worse).outcome == "warned", "the numbers are what they were"
    assert regression_overrides.withdraw(worse, alice)
    assert not regression_overrides.withdraw(worse, alice)
    assert verified(repository) == good
    acts = AuditEvent.objects.filter(action__startswith="regression:").order_by("id").values_list("action", "reason")
    assert list(acts) == [("regression:override", REASON), ("regression:withdraw", "")]


def test_an_override_stays_with_its_version_through_new_proofs(repository, cast, version, held):
    _, worse = held
    regression_overrides.override(worse, cast.session("alice"), REASON)
    requests.again(worse, None)
    measured(worse, accuracy(29))
    assert verified(repository) == worse
    after = version("after", accuracy(28))
    assert (outcome(after), verified(repository)) == ("equal", after), "compared with the one that was let through"


def test_who_pushes_does_not_override_and_ok_is_no_reason(cast, held, version):
    good, worse = held
    with pytest.raises(NotAllowed):
        regression_overrides.override(worse, cast.session("bob"), REASON)
    with pytest.raises(NotAllowed):
        regression_overrides.withdraw(worse, cast.session("bob"))
    with pytest.raises(ValueInvalid, match="at least 10 characters"):
        regression_overrides.override(worse, cast.session("alice"), "ok")
    with pytest.raises(VersionNotHeld) as refusal:
        regression_overrides.override(good, cast.session("alice"), REASON)
    assert refusal.value.code == "version-not-held"


# --- who hears of it -------------------------------------------------------------------------------------------------
def test_the_feed_says_once_that_a_version_is_held_and_once_that_it_is_not(repository, cast, held):
    _, worse = held
    requests.refresh(repository)
    regression_overrides.override(worse, cast.session("alice"), REASON)
    events = [event for event in OutboxEvent.objects.order_by("pk") if event.kind == "regression-changed"]
    assert [(event.data["held"], event.data["revision"]) for event in events] == [(True, worse.oid), (False, worse.oid)]
    assert events[1].data["reason"] == REASON
    dispatch.run()
    entries = Event.objects.filter(kind="regression").order_by("pk")
    assert [event.data["held"] for event in entries] == [True, False]
    assert entries[1].data["reason"] == REASON
