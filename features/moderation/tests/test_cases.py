"""Reports become cases, cases are decided, rules hold things back, owners appeal, strikes add up."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from features.moderation import appeals, cases, evidence, intake, queue, strikes, targets
from features.moderation.appeals import AppealClosed, AppealNotFound
from features.moderation.cases import CaseClosed, CaseNotFound, Decision
from features.moderation.evidence import Evidence
from features.moderation.intake import Facts
from registry.kernel import site_settings
from registry.kernel.errors import (
    CommentNotFound,
    DiscussionNotFound,
    FileNotFound,
    ItemNotFound,
    Missing,
    NamespaceNotFound,
    NotAllowed,
    PublishingPaused,
    RepositoryNotFound,
    RevisionNotFound,
    SessionRequired,
    SignInRequired,
    TakenDown,
    ValueInvalid,
)
from registry.kernel.policy import NOBODY, Caller, Permission, require
from registry.models import (
    AbuseReport,
    Appeal,
    AuditEvent,
    Case,
    Repository,
    RevisionFile,
    Strike,
    Token,
    User,
)
from registry.moderation import quarantine
from registry.moderation.findings import PICKLE
from registry.people import accounts
from registry.people.organizations import organizations, teams
from registry.publish import repositories, retirement
from registry.repos import refs
from tests.cast import Cast, person
from tests.registry.test_moderation import commit

Outcome = Case.Outcome
WHY = "It opens a reverse shell."


def filed(cast: Cast, who: str, reason: str = "malware", id: str = "alice/reviews", kind: str = "adapter", **more):
    """Report something as somebody, who sees it."""
    by = cast.session(who)
    return intake.report(targets.find(kind, id, by), by, reason=reason, **more)


def decided(cast: Cast, case: Case, outcome: str, *, strike: bool = False, by: str = "mona") -> Case:
    return cases.close(case, cast.session(by), Decision(outcome, WHY, strike=strike))


# --- reports ---------------------------------------------------------------------------------------------------------
def test_reports_of_one_thing_are_one_case_with_an_entry_for_each_person(cast, adapter):
    first = filed(cast, "carol", "spam", text="Spam.", evidence=[Evidence(file="README.md", line=3)])
    second = filed(cast, "dave", "malware")
    again = filed(cast, "carol", "backdoor", evidence=[Evidence(file="README.md", line=9)])
    assert [first.is_new, second.is_new, again.is_new] == [True, False, False]
    assert first.case.pk == second.case.pk == again.case.pk
    case = Case.objects.get()
    assert (case.reason, case.severity, case.reports.count()) == ("malware", 3, 2)
    mine = case.reports.get(reporter=cast["carol"])
    assert (mine.reason, mine.text, len(mine.evidence)) == ("backdoor", "Spam.", 2)


def test_a_case_is_opened_anew_after_the_first_was_closed(cast, adapter):
    case = filed(cast, "carol").case
    decided(cast, case, Outcome.NO_ACTION)
    assert filed(cast, "carol").case.pk != case.pk


@pytest.mark.parametrize(
    ("kind", "id", "refusal"),
    [
        ("adapter", "alice/nothing", RepositoryNotFound),
        ("adapter", "acme/covert", RepositoryNotFound),
        ("revision", "alice/reviews@nowhere", RevisionNotFound),
        ("file", "alice/reviews@main:nothing.txt", FileNotFound),
        ("discussion", "alice/reviews#7", DiscussionNotFound),
        ("comment", "alice/reviews#1:999999", CommentNotFound),
        ("discussion", "alice/reviews#x", DiscussionNotFound),
        ("person", "acme", NamespaceNotFound),
        ("organization", "alice", NamespaceNotFound),
        ("person", "nobody-here", NamespaceNotFound),
        ("planet", "mars", ValueInvalid),
    ],
)
def test_what_is_not_there_or_hidden_cannot_be_reported(cast, adapter, kind, id, refusal):
    cast.repository("acme/covert", private=True)
    cast.thread(adapter, "bob")
    with pytest.raises(refusal):
        targets.find(kind, id, cast.session("carol"))


def test_everything_that_can_be_reported_is_found_by_its_id(cast, adapter):
    comment = cast.thread(adapter, "bob", dave="Buy now").events.get()
    cast.repository("acme/rows", type="dataset")
    ids = {
        "adapter": "alice/reviews", "revision": "alice/reviews@main", "file": "alice/reviews@main:README.md",
        "discussion": "alice/reviews#1", "comment": f"alice/reviews#1:{comment.pk}", "person": "dave",
        "organization": "acme",
    }  # fmt: skip
    keys = set()
    for kind, id in ids.items():
        filing = filed(cast, "carol", "spam", id, kind)
        assert filing.is_new, kind
        keys.add(filing.case.key)
    assert len(keys) == len(ids)
    assert targets.find("adapter", "datasets/acme/rows", cast.session("carol")).repository.type == "dataset"
    people = {case.target: getattr(targets.responsible(case), "username", None) for case in cases.with_target()}
    assert people == {
        "adapter": "alice", "revision": "alice", "file": "alice", "discussion": "bob", "comment": "dave",
        "person": "dave", "organization": None,
    }  # fmt: skip


def test_for_what_a_machine_wrote_answers_its_person_and_for_an_organisations_nobody(cast, adapter):
    cast.repository("acme/reviews")
    answers = {}
    for owner, repository in {row.namespace.name: row for row in Repository.objects.all()}.items():
        machine = accounts.create_machine(f"publisher:{owner}", User.Kind.PUBLISHER, repository.namespace)
        Repository.objects.filter(pk=repository.pk).update(created_by=machine)
        case = filed(cast, "carol", id=f"{owner}/reviews").case
        answers[owner] = targets.responsible(cases.get_case(case.pk, cast.session("mona")))
    assert answers == {"alice": cast["alice"], "acme": None}


def test_a_report_needs_a_person_a_known_reason_and_somebody_else(cast, adapter):
    target = targets.find("adapter", "alice/reviews", NOBODY)
    with pytest.raises(SignInRequired):
        intake.report(target, NOBODY, reason="spam")
    token = Caller(user=cast["carol"], token=Token(user=cast["carol"], name="ci", role="read"))
    with pytest.raises(NotAllowed):
        intake.report(target, token, reason="spam")
    with pytest.raises(ValueInvalid):
        intake.report(target, cast.session("carol"), reason="ugly")
    with pytest.raises(NotAllowed):
        filed(cast, "carol", "spam", "carol", "person")


@pytest.mark.parametrize(
    "item",
    [{"commit": "xyz"}, {"line": 0}, {"line": "x"}, {"line": "1" * 5000}, {"file": "a" * 2000}, {"file": "a\nb"}],
)
def test_evidence_that_points_nowhere_is_refused(item):
    with pytest.raises(ValueInvalid):
        evidence.parse([item])


def test_evidence_says_in_words_where_it_points():
    [place] = evidence.parse([{"file": "a.py", "line": 3, "end_line": 5, "commit": "A" * 40}, {}])[:1]
    assert str(place) == "a.py lines 3–5 at aaaaaaaaaaaa"
    assert evidence.parse([{}]) == []


# --- rules -----------------------------------------------------------------------------------------------------------
RULES = [
    (Facts(), None),
    (Facts(findings=frozenset({"file.pickle"})), "dangerous pickle"),
    (Facts(findings=frozenset({"privacy.secret"})), None),
    (Facts(findings=frozenset({"privacy.secret-live"})), "live secret"),
    (Facts(findings=frozenset({"file.blocked"})), "known-bad file"),
    (Facts(findings=frozenset({"names.look-alike"})), None),
    (Facts(reporters=1, trusted_reporters=1), None),
    (Facts(reporters=2, trusted_reporters=0), None),
    (Facts(reporters=99, trusted_reporters=0), None),
    (Facts(reporters=2, trusted_reporters=1), "trusted reports"),
    (Facts(findings=frozenset({"names.look-alike"}), reporters=1, trusted_reporters=1), None),  # the hub is nobody
]


@pytest.mark.parametrize(("facts", "name"), RULES)
def test_the_table_of_rules(facts, name):
    rule = intake.rule_for(facts)
    assert (rule.name if rule else None) == name


def test_two_reporters_of_whom_one_is_trusted_hold_it_back_and_one_with_a_finding_does_not(cast, adapter):
    queue.set_trusted(cast["carol"], cast.session("ada"), True)
    filed(cast, "carol")
    intake.observe(targets.of_repository(adapter), "names.look-alike", "squatting", "Looks like another.")
    filed(cast, "dave", "spam")  # no report of an attack
    adapter.refresh_from_db()
    assert not adapter.is_quarantined
    filed(cast, "erin", "backdoor")
    adapter.refresh_from_db()
    assert adapter.is_quarantined
    decision = adapter.decisions.get()
    assert (decision.by, decision.case) == (None, Case.objects.get())
    assert Strike.objects.count() == 0


def test_a_rule_never_holds_again_what_a_moderator_released(cast, adapter):
    queue.set_trusted(cast["carol"], cast.session("ada"), True)
    filed(cast, "carol")
    filed(cast, "dave")
    quarantine.release(adapter, cast.session("mona"), reason="A false alarm.")
    filed(cast, "erin")
    adapter.refresh_from_db()
    assert not adapter.is_quarantined


def test_a_dangerous_pickle_holds_its_version_and_a_moderator_decides_about_its_author(cast, adapter):
    for number in range(3):
        revision = commit(cast, adapter, f"{number}.bin", b"cos\nsystem\n")
        intake.observe(targets.of_revision(revision), PICKLE, "malware", "0.bin runs os.system.")
        revision.refresh_from_db()
        assert revision.is_quarantined
    assert not Strike.objects.exists()
    assert adapter.decisions.first().reason == "0.bin runs os.system."


def test_only_an_administrator_says_who_is_trusted(cast):
    with pytest.raises(NotAllowed):
        queue.set_trusted(cast["carol"], cast.session("mona"), True)
    assert queue.set_trusted(cast["carol"], cast.session("ada"), True)
    assert not queue.set_trusted(cast["carol"], cast.session("ada"), True)


# --- decisions -------------------------------------------------------------------------------------------------------
OUTCOMES = {
    "adapter": {"no-action", "warned", "held-version", "held", "taken-down", "suspended"},
    "comment": {"no-action", "warned", "hidden", "suspended"},
    "person": {"no-action", "warned", "suspended"},
    "organization": {"no-action", "warned"},
}


@pytest.mark.parametrize("kind", OUTCOMES)
def test_each_target_has_its_outcomes_and_others_are_refused(cast, adapter, kind):
    comment = cast.thread(adapter, "bob", dave="c").events.get()
    id = {
        "adapter": "alice/reviews",
        "comment": f"alice/reviews#1:{comment.pk}",
        "person": "dave",
        "organization": "acme",
    }
    case = filed(cast, "carol", "spam", id[kind], kind).case
    for outcome in set(Outcome.values) - OUTCOMES[kind]:
        with pytest.raises(ValueInvalid):
            decided(cast, case, outcome)
    case.refresh_from_db()
    assert case.state == "open"


def test_closing_holds_back_and_leaves_one_entry_each(cast, adapter):
    case = filed(cast, "carol").case
    cases.claim(case, cast.session("mona"))
    decided(cast, case, Outcome.HELD, strike=True)
    adapter.refresh_from_db()
    case.refresh_from_db()
    assert adapter.is_quarantined
    assert (case.state, case.outcome, case.answer, case.closed_by) == ("closed", "held", WHY, cast["mona"])
    assert case.reports.get().upheld is True
    acts = AuditEvent.objects.filter(actor="mona").values_list("action", flat=True)
    assert sorted(acts) == ["adapter:quarantine", "case:claim", "case:close", "person:strike"]
    with pytest.raises(CaseClosed):
        decided(cast, case, Outcome.NO_ACTION)


def test_a_decision_needs_a_reason_and_a_deed_that_fails_leaves_the_case_open(cast, adapter):
    case = filed(cast, "carol").case
    with pytest.raises(ValueInvalid):
        cases.close(case, cast.session("mona"), Decision(Outcome.HELD, "  "))
    other = filed(cast, "carol", "spam", "ada", "person").case
    with pytest.raises(NotAllowed):
        decided(cast, other, Outcome.SUSPENDED)  # a moderator suspends no administrator
    assert set(Case.objects.values_list("state", flat=True)) == {"open"}
    adapter.refresh_from_db()
    assert not adapter.is_quarantined


@pytest.mark.parametrize("who", ["alice", "carol"])
def test_only_moderators_in_a_session_work_on_cases(cast, adapter, who):
    case = filed(cast, "carol").case
    by = cast.session(who)
    for deed in (
        lambda: cases.claim(case, by),
        lambda: cases.give_back(case, by),
        lambda: cases.add_note(case, by, "x"),
        lambda: cases.close(case, by, Decision(Outcome.HELD, WHY)),
        lambda: cases.get_case(case.pk, by),
        lambda: queue.matching(by, queue.Query()),
        lambda: queue.reporters(by),
        lambda: evidence.look("alice/reviews", "main", "README.md", by),
        lambda: appeals.for_moderators(by),
    ):
        with pytest.raises(NotAllowed):
            deed()
    with pytest.raises(CaseNotFound):
        cases.get_case(999_999, cast.session("mona"))
    with pytest.raises(AppealNotFound):
        appeals.get_own(999_999, by)
    token = Caller(user=cast["mona"], token=Token(user=cast["mona"], name="ci", role="write"))
    with pytest.raises(SessionRequired):
        cases.get_case(case.pk, token)


def test_many_cases_are_closed_with_one_decision_and_those_that_fail_are_named(cast, adapter):
    numbers = [filed(cast, "carol", "spam", name, "person").case.pk for name in ("dave", "erin", "bob")]
    decided(cast, Case.objects.get(pk=numbers[0]), Outcome.NO_ACTION)
    closed, refused = cases.close_many([*numbers, 999_999], cast.session("mona"), Decision(Outcome.NO_ACTION, "Fine."))
    assert [case.pk for case in closed] == numbers[1:]
    assert [number for number, _ in refused] == [numbers[0], 999_999]


def test_a_takedown_deletes_the_files_keeps_the_name_and_is_never_released(cast, adapter):
    case = filed(cast, "carol", "illegal").case
    decided(cast, case, Outcome.HELD)
    again = filed(cast, "mona", "illegal").case
    decided(cast, again, Outcome.TAKEN_DOWN)
    assert not RevisionFile.objects.filter(revision__repository=adapter).exists()
    with pytest.raises(TakenDown):
        quarantine.release(adapter, cast.session("mona"), reason="Oh.")
    with pytest.raises(TakenDown):
        appeals.open_appeal(fresh(adapter), cast.session("alice"), "Please.")
    with pytest.raises(RepositoryNotFound):
        require(cast.session("carol"), Permission.READ, fresh(adapter))
    assert not quarantine.take_down(fresh(adapter), cast.session("mona"), reason="Again.")


def fresh(repository):
    return type(repository).objects.select_related("namespace__person").get(pk=repository.pk)


# --- evidence --------------------------------------------------------------------------------------------------------
def test_moderators_look_only_into_what_is_held_or_in_a_case_and_each_look_is_logged(cast, adapter):
    mona = cast.session("mona")
    with pytest.raises(RevisionNotFound):
        evidence.look("alice/reviews", "main", "README.md", mona)
    filed(cast, "carol")
    revision, entry = evidence.look("alice/reviews", "main", "README.md", mona)
    assert entry.path == "README.md"
    look = AuditEvent.objects.get(action="adapter:look")
    assert (look.actor, look.object) == ("mona", f"alice/reviews@{revision.oid}:README.md")


def test_a_deletion_hides_no_evidence_from_moderators(cast, adapter):
    mona, head = cast.session("mona"), adapter.refs.get(name=refs.MAIN).revision
    filed(cast, "carol")
    repositories.delete(adapter, cast.session("alice"))
    assert evidence.look("alice/reviews", head.oid, "README.md", mona)[0] == head
    anew = cast.repository("alice/reviews")
    assert evidence.look("alice/reviews", head.oid, "README.md", mona)[0] == head
    with pytest.raises(RevisionNotFound):
        evidence.look("alice/reviews", "refs/heads/nowhere", "README.md", mona)
    filed(cast, "carol")
    assert evidence.under_moderation("alice/reviews", "main", mona).repository == anew


def test_what_is_in_the_bin_and_under_no_moderation_does_not_exist(cast, adapter):
    repositories.delete(adapter, cast.session("alice"))
    with pytest.raises(RepositoryNotFound):
        evidence.look("alice/reviews", "main", "README.md", cast.session("mona"))


# --- appeals and strikes ---------------------------------------------------------------------------------------------
def test_an_approved_appeal_releases_and_voids_the_strike(cast, adapter):
    case = decided(cast, filed(cast, "carol").case, Outcome.HELD, strike=True)
    alice = cast.session("alice")
    appeal = appeals.open_appeal(fresh(adapter), alice, "It is a test file.")
    assert not queue.dossier_of(case).is_reversed
    assert appeals.open_appeal(fresh(adapter), alice, "And harmless.").pk == appeal.pk
    appeals.write(appeal, cast.session("mona"), "Which file?", as_moderator=True)
    appeals.write(appeal, cast.session("mona"), "Looks fine to me.", internal=True, as_moderator=True)
    with pytest.raises(NotAllowed):
        appeals.write(appeal, alice, "I am one of you.", as_moderator=True)
    assert [message.text for message in appeals.messages(appeal, with_notes=False)] == [
        "It is a test file.", "And harmless.", "Which file?",
    ]  # fmt: skip
    appeals.decide(appeal, cast.session("ada"), approve=True, reason="Harmless.")
    assert not fresh(adapter).is_quarantined
    assert strikes.points(cast["alice"]) == 0
    assert case.reports.get().upheld is False
    assert queue.dossier_of(case).is_reversed
    with pytest.raises(AppealClosed):
        appeals.decide(appeal, cast.session("ada"), approve=False, reason="No.")


def test_an_appeal_of_an_earlier_hold_does_not_release_a_later_one(cast, adapter):
    quarantine.quarantine(adapter, cast.session("mona"), reason=WHY)
    old = appeals.open_appeal(fresh(adapter), cast.session("alice"), "It is a test file.")
    Repository.objects.filter(pk=adapter.pk).update(quarantined_at=None)  # as a release before appeals were answered
    quarantine.quarantine(fresh(adapter), cast.session("mona"), reason="Another reason.")
    assert appeals.decide(old, cast.session("ada"), approve=True, reason="Harmless.").state == "approved"
    assert fresh(adapter).is_quarantined


def test_a_release_approves_the_open_appeals_against_the_hold(cast, adapter):
    quarantine.quarantine(adapter, cast.session("mona"), reason=WHY)
    appeal = appeals.open_appeal(fresh(adapter), cast.session("alice"), "It is a test file.")
    quarantine.release(fresh(adapter), cast.session("mona"), reason="A mistake.")
    appeal.refresh_from_db()
    assert (appeal.state, appeal.decided_by) == ("approved", cast["mona"])
    assert [message.text for message in appeals.messages(appeal, with_notes=False)][-1] == "A mistake."


@pytest.mark.parametrize("role", ["owner", "author", "writer", "team", "administrator of the organisation"])
def test_a_moderator_neither_closes_nor_releases_their_own_matter_but_an_administrator_does(cast, adapter, role):
    kind, id = "adapter", "acme/tagger"
    if role == "owner":
        id = cast.repository("mona/mine", by="mona").full_name
    elif role == "author":
        kind, id = "person", "mona"
    else:
        grade = {"writer": "write", "team": "member"}.get(role, "admin")
        organizations.set_member(cast.acme, cast["mona"], grade, by=cast["alice"])
        cast.repository("acme/tagger")
    if role == "team":
        team = teams.create_team(cast.acme, "taggers", by=cast["alice"])
        teams.set_grant(team, "tag*", "write", by=cast["alice"])
        teams.add_member(team, cast["mona"], by=cast["alice"])
    elif role == "administrator of the organisation":
        kind, id = "organization", "acme"
    case = filed(cast, "carol", id=id, kind=kind).case
    with pytest.raises(NotAllowed):
        decided(cast, case, Outcome.NO_ACTION)
    assert cases.close_many([case.pk], cast.session("mona"), Decision(Outcome.NO_ACTION, WHY))[0] == []
    if kind == "adapter":
        held = Repository.objects.get(name=id.partition("/")[2])
        quarantine.quarantine(held, cast.session("ada"), reason=WHY)
        appeals.open_appeal(fresh(held), cast.session("mona"), "It is harmless.")
        for deed in (quarantine.release, quarantine.take_down, quarantine.delete):
            with pytest.raises(NotAllowed):
                deed(fresh(held), cast.session("mona"), reason="Mine.")
        assert fresh(held).is_quarantined
        assert Appeal.objects.get().state == Appeal.State.OPEN
        assert quarantine.release(fresh(held), cast.session("ada"), reason="It is.")
    decided(cast, case, Outcome.NO_ACTION, by="ada")


def test_nobody_decides_an_appeal_of_their_own(cast):
    repository = cast.repository("mona/reviews", by="mona")
    quarantine.quarantine(repository, cast.session("ada"), reason=WHY)
    appeal = appeals.open_appeal(fresh(repository), cast.session("mona"), "It is a test file.")
    with pytest.raises(NotAllowed):
        appeals.decide(appeal, cast.session("mona"), approve=True, reason="I say so.")
    assert fresh(repository).is_quarantined


def test_strangers_cannot_appeal_and_nothing_free_can_be_appealed(cast, adapter):
    with pytest.raises(ValueInvalid):
        appeals.open_appeal(adapter, cast.session("alice"), "Why?")
    quarantine.quarantine(adapter, cast.session("mona"), reason=WHY)
    with pytest.raises(RepositoryNotFound):
        appeals.open_appeal(fresh(adapter), cast.session("carol"), "Why?")
    assert not Appeal.objects.exists()


def test_two_strikes_pause_publishing_and_three_suspend(cast, adapter):
    alice = User.objects.get(username="alice")
    strikes.give(alice, "First.", by=cast["mona"])
    require(cast.session("alice"), Permission.PUSH, adapter)
    second = strikes.give(alice, "Second.", by=cast["mona"])
    with pytest.raises(PublishingPaused):
        require(cast.session("alice"), Permission.PUSH, adapter)
    with pytest.raises(PublishingPaused):
        repositories.create("alice/more", cast.session("alice"))
    require(cast.session("alice"), Permission.CONFIGURE, adapter)
    strikes.void(second, cast.session("mona"), reason="A mistake.")
    require(cast.session("alice"), Permission.PUSH, adapter)
    strikes.give(alice, "Third.", by=cast["mona"])
    strikes.give(alice, "Fourth.", by=cast["mona"])
    assert not User.objects.get(username="alice").is_active


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_strike_is_voided_with_a_reason_that_fits(cast, reason):
    strike = strikes.give(cast["alice"], "First.", by=cast["mona"])
    with pytest.raises(ValueInvalid):
        strikes.void(strike, cast.session("mona"), reason=reason)
    assert strikes.points(cast["alice"]) == 1


def test_readers_of_an_organisation_learn_no_names_of_what_is_withheld(cast):
    repository = cast.repository("acme/covert", private=True)
    quarantine.quarantine(repository, cast.session("mona"), reason=WHY)
    held = {who: len(appeals.of_person(cast[who], cast.session(who)).holds) for who in ("alice", "bob", "dave", "erin")}
    assert held == {"alice": 1, "bob": 1, "dave": 0, "erin": 0}
    with pytest.raises(NotAllowed):
        appeals.of_person(cast["alice"], cast.session("carol"))


def test_strikes_lapse_after_ninety_days_and_the_pause_after_three(cast, adapter):
    alice = User.objects.get(username="alice")
    strikes.give(alice, "First.", by=cast["mona"])
    strikes.give(alice, "Second.", by=cast["mona"])
    Strike.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert strikes.points(alice) == 0
    assert alice.paused_until - timezone.now() > timedelta(days=2, hours=23)
    User.objects.update(paused_until=timezone.now() - timedelta(seconds=1))
    require(cast.session("alice"), Permission.PUSH, adapter)


def test_staff_is_never_suspended_by_a_count(cast):
    for number in range(4):
        strikes.give(cast["mona"], f"Strike {number}.", by=cast["ada"])
    assert User.objects.get(username="mona").is_active


# --- the queue -------------------------------------------------------------------------------------------------------
def test_the_queue_sorts_by_gravity_then_age_and_filters(cast, adapter):
    filed(cast, "carol", "spam", "dave", "person")
    filed(cast, "carol", "malware")
    filed(cast, "carol", "license", "alice/reviews@main", "revision")
    intake.observe(targets.of_repository(adapter), "names.look-alike", "squatting", "Looks like another.")
    mona = cast.session("mona")
    reasons = [case.reason for case in queue.matching(mona, queue.Query())]
    assert reasons == ["malware", "license", "spam"]
    found = {
        "mine": queue.Query(state="mine"), "hub": queue.Query(source="hub"), "person": queue.Query(target="person"),
        "medium": queue.Query(severity=2), "text": queue.Query(q="DAVE"),
    }  # fmt: skip
    assert {name: queue.matching(mona, query).count() for name, query in found.items()} == {
        "mine": 0, "hub": 1, "person": 1, "medium": 1, "text": 1,
    }  # fmt: skip


@pytest.mark.parametrize("count", [5, 50])
def test_the_facts_of_the_queue_take_as_many_queries_for_fifty_cases_as_for_five(
    cast, adapter, count, django_assert_num_queries
):
    filed(cast, "carol", "spam")
    for number in range(count - 1):
        filed(cast, "carol", "spam", person(f"person-{number}").username, "person")
    mona = cast.session("mona")
    site_settings.clear_cache()
    site_settings.get_setting("case_hours")  # kept for five seconds, whatever the cases above took
    with django_assert_num_queries(5):
        rows = queue.with_facts(list(queue.matching(mona, queue.Query())[:50]))
        assert {(row.people, row.prior, row.owner_since is None) for row in rows} == {(1, 0, False)}
    assert len(rows) == count


def test_accuracy_counts_what_was_decided(cast, adapter):
    decided(cast, filed(cast, "carol", "spam", "dave", "person").case, Outcome.WARNED)
    decided(cast, filed(cast, "carol", "spam", "erin", "person").case, Outcome.NO_ACTION)
    case = filed(cast, "carol", "spam", "dave", "person").case
    [row] = queue.with_facts([cases.get_case(case.pk, cast.session("mona"))])
    assert (row.accuracy.upheld, row.accuracy.decided, row.accuracy.share, row.prior) == (1, 2, 0.5, 1)
    [carol] = queue.reporters(cast.session("mona"))
    assert [vars(carol)[name] for name in ("filed", "decided", "right")] == [3, 2, 1]


# --- what is held back -----------------------------------------------------------------------------------------------
def test_a_report_outlives_what_it_was_about(cast, adapter):
    case = filed(cast, "carol").case
    repositories.delete(adapter, cast.session("alice"))
    retirement.purge(adapter.pk, cast.session("alice"))
    case.refresh_from_db()
    assert (case.repository, case.label) == (None, "alice/reviews")
    assert AbuseReport.objects.filter(case=case).exists()
    with pytest.raises(ValueInvalid):
        decided(cast, case, Outcome.HELD)
    decided(cast, case, Outcome.NO_ACTION)


# --- waiting too long ------------------------------------------------------------------------------------------------
def opened(case: Case, hours: float) -> None:
    Case.objects.filter(pk=case.pk).update(created_at=timezone.now() - timedelta(hours=hours))


def test_the_queue_marks_and_filters_what_waits_longer_than_the_target(cast, adapter, settings):
    old, new = filed(cast, "carol", "spam").case, filed(cast, "bob", "malware", "dave", "person").case
    opened(old, 25)
    opened(new, 23)
    by = cast.session("mona")

    def marked(**query) -> dict[int, bool]:
        rows = queue.with_facts(list(queue.matching(by, queue.Query(**query))))
        return {row.case.pk: row.is_late for row in rows}

    assert list(marked().items()) == [(new.pk, False), (old.pk, True)]
    assert list(marked(sort="oldest")) == [old.pk, new.pk]
    assert marked(state="late") == {old.pk: True}
    decided(cast, old, Outcome.NO_ACTION)
    assert marked(state="late") == {}
    assert marked(state="closed") == {old.pk: False}
    site_settings.change_setting("case_hours", "8", None)
    assert marked(state="late") == {new.pk: True}
    site_settings.change_setting("case_hours", "0", None)
    assert marked(state="late") == {}
    assert marked() == {new.pk: False}


def signed_in(cast: Cast, who: str) -> Client:
    client = Client()
    client.force_login(cast[who])
    return client


def test_a_moderator_keeps_views_of_the_queue_and_nobody_elses(cast, adapter):
    by = cast.session("mona")
    view = queue.save_view(by, " Late  malware ", "state=late&reason=malware&csrf=x&page=3")
    assert (view.name, view.query) == ("Late malware", "state=late&reason=malware")
    queue.save_view(by, "Late malware", "state=late&q=a%26b")
    assert [view.query for view in queue.list_views(by)] == ["state=late&q=a%26b"]
    assert not queue.list_views(cast.session("ada")).exists()
    with pytest.raises(ItemNotFound):
        queue.remove_view(cast.session("ada"), view.pk)
    for name, query in (("", ""), ("x" * 61, ""), ("x", "q=" + "y" * 500), ("a\0b", ""), ("x", "q=a\0b")):
        with pytest.raises(ValueInvalid):
            queue.save_view(by, name, query)
    for number in range(queue.MAX_VIEWS - 1):
        queue.save_view(by, f"view {number}", "")
    with pytest.raises(ValueInvalid, match="20 saved views"):
        queue.save_view(by, "one more", "")
    queue.save_view(by, "view 1", "state=mine")
    queue.remove_view(by, view.pk)
    with pytest.raises(NotAllowed):
        queue.save_view(cast.session("carol"), "x", "")


def test_a_report_of_a_thread_or_comment_that_is_not_there_names_which(cast: Cast) -> None:
    cast.thread(cast.repository("alice/reviews"), "bob")
    for kind, id, code in (("discussion", "#7", "discussion-not-found"), ("comment", "#1:999999", "comment-not-found")):
        with pytest.raises(Missing) as refusal:
            targets.find(kind, f"alice/reviews{id}", cast.session("carol"))
        assert refusal.value.code == code
