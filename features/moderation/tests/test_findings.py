"""The hub's own findings become cases: pickles, secrets, live tokens, holds without a case."""

import pytest

from features.moderation import cases
from features.moderation.cases import Decision
from registry.models import Case, OutboxEvent, Repository
from registry.proof.verified import withdrawals
from registry.publish import branches
from registry.talk import dispatch
from tests.api.conftest import FILES, judged, pushed
from tests.cast import Cast
from tests.hf.test_moves import MORE, NAME, WEIGHTS, drop, large
from tests.hf.test_refusals import refused
from tests.hf.wire import Wire
from tests.registry.test_findings import LEAK, finding, revoke_in_large_texts
from tests.registry.test_secret_searches import KEY
from workers import pushed_files


@pytest.fixture
def adapter(cast: Cast) -> Repository:
    return cast.repository("alice/reviews")


def test_a_dangerous_pickle_in_a_verdict_opens_the_case_of_its_hold(cast, adapter):
    revision = pushed(cast, adapter)
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    case = Case.objects.get()
    assert revision.decisions.get().case == case
    assert (case.target, case.reason, case.severity, case.reports.get().check_id) == (
        "revision", "malware", 3, "file.pickle",
    )  # fmt: skip
    assert cast["alice"].strikes.count() == 0, "a moderator decides"


@pytest.mark.parametrize(
    ("where", "file"),
    [("adapter_config.json", "adapter_config.json"), ("a\nb", None), (["a"], None), (7, None), (None, None)],
)
def test_the_evidence_of_a_finding_names_a_file_of_the_version_or_none(cast, adapter, where, file):
    judged(pushed(cast, adapter), "failed", checks=[finding("file.pickle", quarantine=True, file=where)])
    dispatch.run()
    assert [place.get("file") for place in Case.objects.get().reports.get().evidence] == [file]


def test_an_ordinary_failure_opens_no_case(cast, adapter):
    judged(pushed(cast, adapter), "failed", checks=[finding("file.pickle"), finding("tensors.not-finite")])
    dispatch.run()
    assert not Case.objects.exists()


def test_a_secret_of_others_opens_a_case_and_holds_nothing(cast, adapter):
    revision = pushed(cast, adapter, files={**FILES, LEAK: b"AKIA0123456789ABCDEF"})
    judged(revision, checks=[finding("privacy.secret", "warned", file=LEAK)])
    dispatch.run()
    revision.refresh_from_db()
    assert not revision.is_quarantined
    assert Case.objects.get().reason == "secret"


def test_a_hold_that_the_hub_made_alone_gets_a_case(cast, adapter):
    revision = pushed(cast, adapter)
    revision.repository = adapter
    withdrawals.hold(revision, "It is blocked.")
    dispatch.run()
    case = Case.objects.get()
    assert revision.decisions.get().case == case
    dispatch.run()
    assert Case.objects.count() == 1


def test_a_pickle_that_the_worker_held_before_its_verdict_is_a_case_and_no_strike(cast, adapter):
    revision = pushed(cast, adapter)
    revision.repository = adapter
    withdrawals.hold(revision, "a.bin is a pickle that runs os.system.", finding="file.pickle")
    judged(revision, "failed", checks=[finding("file.pickle", quarantine=True, file="a.bin")])
    dispatch.run()
    assert (Case.objects.get().reason, cast["alice"].strikes.count()) == ("malware", 0)


def test_words_of_a_reason_decide_nothing(cast, adapter):
    revision = pushed(cast, adapter)
    revision.repository = adapter
    withdrawals.hold(revision, "It says that it is a pickle blocked on this hub.")
    dispatch.run()
    assert (Case.objects.get().reason, Case.objects.get().reports.get().check_id) == ("other", "hub.hold")


def test_a_squash_of_a_held_version_is_held_for_the_same_finding(cast, adapter):
    revision = pushed(cast, adapter)
    revision.repository = adapter
    withdrawals.hold(revision, "a.bin runs os.system.", finding="file.pickle")
    branches.squash(adapter, "main", "One", cast.session("alice"))
    dispatch.run()
    assert [case.reports.get().check_id for case in Case.objects.all()] == ["file.pickle"] * 2


def test_a_page_leaves_a_verdict_for_which_files_are_read_to_the_workers(cast, adapter):
    revision = pushed(cast, adapter, files={**FILES, LEAK: b"AKIA0123456789ABCDEF"})
    dispatch.run()
    judged(revision, checks=[finding("privacy.secret", "warned", file=LEAK)])
    dispatch.catch_up()
    assert not Case.objects.exists()
    assert OutboxEvent.objects.filter(kind="verdict-reached").exists()
    dispatch.run()
    assert Case.objects.exists()


def test_tokens_in_large_texts_are_a_case(cast):
    revoke_in_large_texts(cast)
    dispatch.run()
    assert Case.objects.get().reports.get().check_id == "privacy.secret-live"


@pytest.mark.parametrize("type", ["model", "dataset", "space"])
def test_a_secret_in_any_kind_of_repository_opens_a_case(cast, type):
    pushed(cast, cast.repository("alice/plain", type=type), files={"id_rsa": KEY, "rows.csv": b"a,b\n"})
    pushed_files.scan_revisions()
    report = Case.objects.get().reports.get()
    assert (report.check_id, report.reason) == ("privacy.secret", "secret")


def test_the_verdict_opens_the_case_of_an_adapter_and_examples_open_none(cast, adapter):
    pushed(cast, adapter, files={**FILES, "id_rsa": KEY})
    pushed(cast, cast.repository("alice/notes"), files={"a.md": b"AKIAIOSFODNN7EXAMPLE", "b.txt": b"plain"})
    pushed_files.scan_revisions()
    assert not Case.objects.exists()


def test_what_the_hub_holds_back_is_written_anew_only_after_a_moderator_closed_its_case(wire: Wire, cast: Cast):
    repo = cast.repository(NAME)
    wire.push(NAME, {"a.txt": b"one\n"})
    large(wire, "w.onnx", WEIGHTS)
    large(wire, "unrelated.onnx", MORE)
    revision = repo.refs.get(name="refs/heads/main").revision
    revision.repository = repo
    withdrawals.hold(revision, "w.onnx runs os.system.", finding="file.pickle")
    refused(drop(wire, MORE), 403, "adapter-quarantined", "runs os.system")
    dispatch.run()
    refused(drop(wire, MORE), 403, "adapter-quarantined", "runs os.system")
    case = cases.with_target().get(revision=revision)
    cases.close(case, cast.session("mona"), Decision("held-version", "It runs os.system: remove it."))
    assert drop(wire, WEIGHTS).status_code == 200
