"""What `verified` may name: what an engine ran and what adds something; overrides, upgrades and the words for it."""

import pytest

from dovetail.adapters.results.report import Report
from registry.kernel.errors import AliasUnproven, RevisionNotFound, VersionNotHeld
from registry.models import OutboxEvent, Ref, Repository, Revision, Verdict
from registry.moderation import quarantine
from registry.proof.verdicts import requests, sweeps
from registry.proof.verified import aliases, withdrawals
from registry.proof.verified import verified as regression_overrides
from registry.repos import eligibility, pull, refs
from registry.repos.lists import catalog
from tests.api.conftest import FILES, accuracy, judged, pushed
from tests.sweep import sweep

REASON = "The rows are few, and the users like it."
Kind = Verdict.Eligibility


def row(metric: str, base: float, adapter: float, head: float | None = None, name: str = "smoke") -> dict:
    better = "lower" if metric in ("loss", "perplexity") else "higher"
    numbers = {"base": base, "adapter": adapter, "head_alone": head}
    return {"name": name, "rows": 12, "metric": metric, "better": better, **numbers}


def contents(*paths: str) -> list[dict]:
    return [{"path": path, "format": "peft", "kind": "lora", "proven": True} for path in paths]


# --- the rule --------------------------------------------------------------------------------------------------------
CASES = [
    ("above the guess and its head", [row("accuracy", 0.5, 0.9, 0.6)], "may"),
    ("above a frozen base that was measured", [row("spearman", 0.41, 0.62)], "may"),
    ("as good as its head", [row("f1", 0, 0.3333, 0.3333)], "adds-nothing"),
    ("as good as its head to the fourth digit", [row("accuracy", 0.5, 0.7501, 0.75)], "may"),
    ("below its head, above the guess", [row("accuracy", 0.5, 0.7, 0.8)], "adds-nothing"),
    ("as good as a guess", [row("balanced-accuracy", 0.3333, 0.3333, 0.2)], "adds-nothing"),
    ("below a guess", [row("accuracy", 0.556, 0.222, 0.1)], "below-base"),
    ("below the guess and its head", [row("accuracy", 0.5, 0.4, 0.6)], "below-base"),
    ("a negative correlation", [row("pearson", 0, -0.1, -0.3)], "below-base"),
    ("all at the ceiling", [row("accuracy", 1, 1, 1)], "may"),
    ("at the ceiling as its head is", [row("exact-match", 0.25, 1, 1)], "may"),
    ("at the ceiling as the frozen base is", [row("triplet-accuracy", 1, 1)], "may"),
    ("as good as the frozen base below the ceiling", [row("triplet-accuracy", 0.9583, 0.9583)], "adds-nothing"),
    ("a lower loss", [row("loss", 3.2, 2.1)], "may"),
    ("the same loss", [row("loss", 3.2, 3.2)], "adds-nothing"),
    ("a higher loss", [row("loss", 3.2, 3.2001)], "below-base"),
    ("no loss at all, as the base", [row("loss", 0, 0)], "may"),
    ("perplexity of one, as the base", [row("perplexity", 1, 1)], "may"),
    ("the same perplexity", [row("perplexity", 8.08, 8.08)], "adds-nothing"),
    ("the first metric decides", [row("f1", 0, 0.4, 0.1), row("accuracy", 0.6, 0.2, 0.1)], "may"),
    ("and not the second", [row("accuracy", 0.5, 0.5), row("macro-f1", 0.1, 0.9)], "adds-nothing"),
    ("built-in sentences measure no task", [row("loss", 3, 9, name="neutral")], "may"),
    ("nothing was measured", [], "may"),
    ("a metric without a number of the base", [row("rouge-l", None, 0.1), row("loss", 3, 2)], "may"),
]


@sweep("evals, kind", [case[1:] for case in CASES])
def test_the_deciding_metric_must_be_above_all_that_it_starts_from(evals, kind):
    assert eligibility.judge(Report.of_result({"depth": "evaluated", "evals": evals}, "passed")) == kind


def test_of_several_adapters_the_worst_decides():
    evals = [row("accuracy", 0.5, 0.9, name="a/smoke"), row("accuracy", 0.5, 0.5, name="b/smoke")]
    several = {"depth": "evaluated", "evals": evals, "contents": contents("a", "b")}
    assert eligibility.judge(Report.of_result(several, "passed")) == "adds-nothing"
    evals[1]["adapter"] = 0.6
    assert eligibility.judge(Report.of_result(several, "passed")) == "may"
    neutral = [row("loss", 3, 4, name="a/neutral"), row("loss", 3, 2, name="b/smoke")]
    assert eligibility.judge(Report.of_result({**several, "evals": neutral}, "passed")) == "may"


def test_what_no_engine_ran_is_not_eligible_whatever_was_measured(settings):
    evals = [row("accuracy", 0.5, 0.9)]
    kinds = {depth: eligibility.judge(Report.of_result({"depth": depth, "evals": evals}, "passed"))
             for depth in ("static", "fit", "run", "evaluated", None)}  # fmt: skip
    assert kinds == {"static": "static", "fit": "not-run", "run": "may", "evaluated": "may", None: "static"}
    settings.VERIFIED_DEPTH = "fit"
    assert eligibility.judge(Report.of_result({"depth": "fit"}, "passed")) == "fits"
    assert eligibility.judge(Report.of_result({"depth": "static"}, "passed")) == "static"
    assert eligibility.judge(Report.of_result({"depth": "evaluated", "evals": evals}, "failed")) == "failed"


# --- the ref ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def repository(cast, settings, tmp_path) -> Repository:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.api.conftest.notify_nobody"
    settings.FIRST_THROTTLE = "off"
    return cast.repository("acme/reviews")


@pytest.fixture
def version(cast, repository):
    def one(words: str, **report) -> Revision:
        revision = pushed(cast, repository, files={**FILES, "README.md": f"# {words}\n".encode()})
        judged(revision, **report)
        return revision

    return one


def verified(repository: Repository) -> Revision | None:
    ref = Ref.objects.filter(repository=repository, name=refs.VERIFIED).select_related("revision").first()
    return ref.revision if ref else None


IDLE = {"depth": "evaluated", "evals": [row("f1", 0, 0.3333, 0.3333)]}
BELOW = {"depth": "evaluated", "evals": [row("accuracy", 0.5, 0.4)]}
BASE = {"id": "tiny/bert", "revision": "r", "sha256": "b" * 64}
GOOD = {"depth": "evaluated", "evals": [accuracy(46)], "base": BASE}


def test_what_adds_nothing_passes_and_leaves_verified_where_it_is(repository, version):
    good = version("good", **GOOD)
    for words, report in {
        "idle": IDLE,
        "below": BELOW,
        "fits": {"depth": "fit"},
        "looked at": {"depth": "static"},
    }.items():
        other = version(words, **report)
        assert requests.current(other).state == "passed", words
        assert verified(repository) == good, words
    assert version("again", **GOOD) == verified(repository)


def test_a_version_that_is_passed_by_hides_no_regression_of_the_next(repository, version):
    good = version("good", **GOOD)
    for words, report in {"fits": {"depth": "fit"}, "idle": IDLE}.items():
        version(words, **report)
        version(f"worse after {words}", **{**GOOD, "evals": [accuracy(30)]})
        assert verified(repository) == good, words


def test_owners_let_a_version_in_that_adds_nothing_and_take_that_back(repository, cast, version):
    idle = version("idle", **IDLE)
    assert (verified(repository), eligibility.of_revision(idle).because) == (None, "adds-nothing")
    with pytest.raises(AliasUnproven, match="adds nothing"):
        aliases.set_alias(repository, "prod", idle, cast.session("alice"))
    assert regression_overrides.override(idle, cast.session("alice"), REASON)
    assert (verified(repository), eligibility.of_revision(idle).may) == (idle, True)
    assert aliases.set_alias(repository, "prod", idle, cast.session("alice"))
    assert not regression_overrides.override(idle, cast.session("alice"), "Another reason of enough letters.")
    requests.again(idle, None)
    judged(idle, **BELOW)
    assert verified(repository) == idle, "the override is about the version, and stays through new proofs"
    assert regression_overrides.withdraw(idle, cast.session("alice"))
    assert verified(repository) is None
    assert pull.resolve(repository, "prod") == idle, "an alias stays where its owner set it"


@pytest.mark.parametrize("report", [{"depth": "fit"}, {"depth": "static"}, GOOD], ids=["fits", "static", "good"])
def test_an_override_lets_nothing_in_that_was_not_run_and_needs_something_to_override(cast, version, report):
    with pytest.raises(VersionNotHeld):
        regression_overrides.override(version("one", **report), cast.session("alice"), REASON)


def test_an_overridden_version_is_compared_with_and_yanks_count_more(repository, cast, version):
    idle = version("idle", **IDLE)
    regression_overrides.override(idle, cast.session("alice"), REASON)
    withdrawals.yank(idle, cast.session("alice"), "It is broken.")
    assert (verified(repository), eligibility.of_revision(Revision.objects.get(pk=idle.pk)).because) == (None, "yanked")


def test_each_cause_says_why_and_the_way_out_where_verified_is_asked_for(repository, version):
    for words, report, says in [
        ("idle", IDLE, "adds nothing"),
        ("below", BELOW, "worse than the frozen base"),
        ("fits", {"depth": "fit"}, "No engine here has run it"),
    ]:
        version(words, **report)
        with pytest.raises(RevisionNotFound, match=says) as refused:
            pull.resolve(repository, "verified")
        assert "Its commit id serves it" in refused.value.fix, words
        assert ("as an owner" in refused.value.fix) == (words != "fits"), words


# --- hubs that know the older rule -----------------------------------------------------------------------------------
def as_before(revision: Revision) -> None:
    """Make `verified` name a version as an earlier release did."""
    Verdict.objects.filter(revision=revision).update(eligibility=Kind.UNJUDGED)
    Ref.objects.update_or_create(repository=revision.repository, name=refs.VERIFIED, defaults={"revision": revision})
    Repository.objects.filter(pk=revision.repository_id).update(is_verified=True)


def test_a_sweep_moves_verified_where_an_earlier_release_left_it_and_no_alias(repository, cast, version):
    good, idle = version("good", **GOOD), version("idle", **IDLE)
    Verdict.objects.update(eligibility=Kind.UNJUDGED)
    as_before(idle)
    OutboxEvent.objects.all().delete()
    aliases.set_alias(repository, "prod", idle, cast.session("alice"), force=True, reason="As it was.")
    sweeps.sweep()
    assert verified(repository) == good
    assert pull.resolve(repository, "prod") == idle
    assert set(Verdict.objects.values_list("eligibility", flat=True)) == {"may", "adds-nothing"}
    told = OutboxEvent.objects.filter(kind="regression-changed").latest("pk")
    assert told.data["revision"] == idle.oid


def test_what_a_yank_would_change_is_told_of_rows_that_no_sweep_has_judged(repository, cast, version):
    good, idle, newest = version("good", **GOOD), version("idle", **IDLE), version("newest", **GOOD)
    told = {revision.pk: withdrawals.consequences(revision) for revision in (good, idle, newest)}
    Verdict.objects.update(eligibility=Kind.UNJUDGED)
    assert {revision.pk: withdrawals.consequences(revision) for revision in (good, idle, newest)} == told
    assert told[newest.pk].has_other
    withdrawals.yank(good, cast.session("alice"), "It is broken.")
    Verdict.objects.update(eligibility=Kind.UNJUDGED)
    assert not withdrawals.consequences(newest).has_other, "what is left adds nothing"


UNREADABLE = [
    {"depth": "run", "evals": [{"rows": 3}]},
    {"depth": "run", "evals": ["accuracy"]},
    {"depth": "evaluated", "contents": 3},
    {"depth": "run", "evals": {"name": "sst2"}},
]


def test_a_report_that_cannot_be_read_keeps_no_other_from_being_judged(repository, cast, version):
    good, idle = version("good", **GOOD), version("idle", **IDLE)
    for number, result in enumerate(UNREADABLE):
        other = cast.repository(f"acme/old-{number}")
        verdict = judged(pushed(cast, other), depth="run")
        Verdict.objects.filter(pk=verdict.pk).update(result=result, eligibility=Kind.UNJUDGED)
        as_before(verdict.revision)
    broken = version("broken", **GOOD)
    Verdict.objects.filter(revision=broken).update(result=UNREADABLE[0])
    Verdict.objects.update(eligibility=Kind.UNJUDGED)
    as_before(broken)
    sweeps.sweep()
    kinds = dict(Verdict.objects.filter(revision__repository=repository).values_list("revision", "eligibility"))
    assert kinds == {good.pk: "may", idle.pk: "adds-nothing", broken.pk: "static"}
    assert verified(repository) == good
    assert not Verdict.objects.filter(eligibility=Kind.UNJUDGED).exists()
    assert not Ref.objects.filter(name=refs.VERIFIED, repository__name__startswith="old-").exists()


def test_what_an_older_worker_moved_is_corrected_and_what_an_owner_let_in_stays(repository, cast, version):
    good, idle = version("good", **GOOD), version("idle", **IDLE)
    assert sweeps.correct_verified() == 0
    Ref.objects.filter(repository=repository, name=refs.VERIFIED).update(revision=idle)
    assert sweeps.correct_verified() == 1
    assert verified(repository) == good
    regression_overrides.override(idle, cast.session("alice"), REASON)
    assert (verified(repository), sweeps.correct_verified()) == (idle, 0)


def test_a_version_that_adds_something_now_and_still_measures_worse_is_not_announced_as_let_in(
    repository, cast, version
):
    version("good", **GOOD)
    worse = version("worse", **{**GOOD, "evals": [accuracy(20)]})
    assert eligibility.of_revision(worse).because == "below-base"
    renewed(worse, "passed", **{**GOOD, "evals": [accuracy(30)]})
    assert eligibility.of_revision(worse).because == "regression"
    told = OutboxEvent.objects.filter(kind=OutboxEvent.Kind.REGRESSION).values_list("data__held", flat=True)
    assert set(told) == {True}
    renewed(worse, "passed", **{**GOOD, "evals": [accuracy(47)]})
    assert (verified(repository), told.order_by("-pk")[0]) == (worse, False)


def test_a_sweep_lists_what_is_verified_where_an_earlier_release_listed_main(repository, version):
    good, idle = version("good", **GOOD), version("idle", **IDLE)
    Verdict.objects.update(eligibility=Kind.UNJUDGED)
    Repository.objects.update(search_text="acme/reviews idle", is_main_held=True)
    sweeps.sweep()
    row = Repository.objects.get()
    assert (verified(repository), "good" in row.search_text, row.is_main_held) == (good, True, False)
    assert catalog.listed_verdicts([row])[row.pk].newest.revision == idle


def renewed(revision: Revision, state: str, **report) -> None:
    requests.again(revision, None)
    judged(revision, state, **report)


def test_a_renewal_that_errors_takes_nothing_away(repository, cast, version, settings):
    settings.MAX_ATTEMPTS = 1
    good, idle = version("good", **GOOD), version("idle", **IDLE)
    failing = pushed(cast, repository, files={**FILES, "README.md": b"# failing\n"})
    judged(failing, "failed")
    for one, state in ((good, "passed"), (idle, "passed"), (failing, "failed")):
        before = eligibility.of_revision(one)
        renewed(one, "errored")
        assert requests.latest(one).state == "errored"
        assert requests.current(one).state == state
        assert requests.states_in_force([one.pk]) == {one.pk: state}
        assert eligibility.of_revision(one) == before
        assert verified(repository) == good
        assert Repository.objects.get().outcome == "passed"
    renewed(good, "failed")
    assert verified(repository) is None
    assert Repository.objects.get().outcome == "failed"


def test_a_refusal_names_no_commit_that_is_held_back(repository, cast, version):
    good = version("good", **GOOD)
    quarantine.quarantine(repository, cast.session("mona"), reason="A look.", revision=good)
    assert good.oid not in str(refs.revision_not_found("verified", repository).fix)


def test_an_alias_of_a_version_that_fits_still_falls_back_to_one_that_fits(repository, cast, version):
    alice = cast.session("alice")
    first, second = version("one", depth="fit"), version("two", depth="fit")
    for one in (first, second):
        aliases.set_alias(repository, "prod", one, alice, force=True, reason="The base is too large.")
    withdrawals.yank(second, alice, "It is broken.")
    assert pull.resolve(repository, "prod") == first


def test_another_depth_moves_verified_in_both_directions(repository, version, settings):
    good, fits = version("good", **GOOD), version("fits", depth="fit")
    settings.VERIFIED_DEPTH = "fit"
    sweeps.sweep()
    assert verified(repository) == fits
    assert not eligibility.of_revision(fits).is_run
    settings.VERIFIED_DEPTH = "run"
    sweeps.sweep()
    assert verified(repository) == good
    sweeps.sweep()
    assert verified(repository) == good


def test_a_sweep_reads_the_verdicts_of_many_repositories_in_few_queries(cast, version, django_assert_max_num_queries):
    revision = version("good", **GOOD)
    verdict = Verdict.objects.get(revision=revision)
    for number in range(2, 60):
        verdict.pk, verdict.number, verdict.eligibility = None, number, Kind.UNJUDGED
        verdict._state.adding = True
        verdict.save()
    with django_assert_max_num_queries(45):  # as many as without them, and a few
        sweeps.sweep()
    assert not Verdict.objects.filter(eligibility=Kind.UNJUDGED).exists()
