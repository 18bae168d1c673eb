"""The pages of moderation: reporting, the queue, a case, appeals, reporters, standing; without JavaScript."""

import re
import time
from datetime import timedelta
from html import unescape

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils import timezone

import features
from features.moderation import appeals, cases, intake, targets
from features.moderation.cases import Decision
from registry.kernel import site_settings
from registry.models import AbuseReport, Appeal, AuditEvent, Case, Repository, Strike, User
from registry.moderation import quarantine
from registry.publish import push
from registry.repos import refs
from tests.cast import PASSWORD, Cast, assemble, person

WHY = "It opens a reverse shell."


@pytest.fixture
def cast(db, settings, tmp_path) -> Cast:
    settings.BLOBS = f"file://{tmp_path / 'blobs'}"
    settings.DOORBELL = "tests.registry.test_upkeep.notify"
    settings.FIRST_THROTTLE = "off"
    return assemble()


@pytest.fixture
def adapter(cast: Cast) -> Repository:
    """alice/reviews with a README and a script."""
    repository = cast.repository("alice/reviews")
    intent = push.Intent(repository, refs.MAIN, cast.session("alice"), title="Files")
    push.receive(intent, [push.Inline("README.md", b"# Reviews\n"), push.Inline("run.py", b"import os\n")])
    return repository


def browser(cast: Cast, who: str) -> Client:
    client = Client()
    client.force_login(cast[who])
    return client


def reported(cast: Cast, who: str = "carol", kind: str = "adapter", id: str = "alice/reviews", reason: str = "malware"):
    by = cast.session(who)
    return intake.report(targets.find(kind, id, by), by, reason=reason, text="Look at run.py.").case


def test_every_page_has_its_report_link_and_the_form_files_it(cast, adapter):
    head = adapter.refs.get(name=refs.MAIN).revision.oid
    carol = browser(cast, "carol")
    pages = {
        "/alice/reviews": ("adapter", "revision"),
        f"/alice/reviews/commit/{head}": ("revision",),
        "/alice/reviews/blob/main/run.py": ("file",),
        "/alice": ("person",),
        "/acme": ("organization",),
    }
    filed = set()
    for page, kinds in pages.items():
        text = carol.get(page).content.decode()
        links = re.findall(r'href="(/reports/new\?[^"]+)"', text)
        for kind in kinds:
            [link] = {link.replace("&amp;", "&") for link in links if f"type={kind}&" in link}
            form = carol.get(link)
            assert form.status_code == 200
            sent = carol.post(link, {"reason": "spam", "text": "Spam.", "commit": ""})
            assert sent.status_code == 302, sent.content
            filed.add(kind)
    assert filed == set(Case.Target.values) - {"discussion", "comment"}
    assert set(Case.objects.values_list("target", flat=True)) == filed
    mine = carol.get("/settings/reports", follow=True).content.decode()
    assert mine.count("waits for a moderator") == len(filed)


def test_the_form_prefills_what_the_reporter_looked_at_and_says_what_is_wrong(cast, adapter):
    carol = browser(cast, "carol")
    address = "/reports/new?type=file&id=alice/reviews@main:run.py&line=1&reason=backdoor"
    page = carol.get(address).content.decode()
    assert 'value="run.py"' in page
    assert 'value="1"' in page
    assert re.search(r'value="backdoor"\s+checked', page)
    wrong = carol.post(address, {"reason": "malware", "file": "run.py", "line": "zero"})
    assert (wrong.status_code, "not a line number" in wrong.content.decode()) == (400, True)
    assert carol.post(address, {"text": "?"}).status_code == 400
    assert not AbuseReport.objects.exists()
    carol.post(address, {"reason": "malware", "file": "run.py", "line": "1", "end_line": "2"})
    assert AbuseReport.objects.get().evidence == [{"file": "run.py", "line": 1, "end_line": 2}]


def test_a_stranger_is_asked_to_sign_in_and_hidden_things_are_missing_things(cast, adapter):
    cast.repository("acme/covert", private=True)
    assert Client().get("/reports/new?type=adapter&id=alice/reviews")["Location"].startswith("/login?")
    carol = browser(cast, "carol")
    hidden = carol.get("/reports/new?type=adapter&id=acme/covert")
    never = carol.get("/reports/new?type=adapter&id=acme/coyert")
    assert hidden.status_code == never.status_code == 404
    pages = [re.sub(rb'csrfmiddlewaretoken" value="[^"]*"', b"", answer.content) for answer in (hidden, never)]
    assert pages[0].replace(b"covert", b"coyert") == pages[1]


def test_the_menu_leads_moderators_to_the_queue_and_nobody_else(cast):
    for who, sees in {"alice": False, "mona": True, "ada": True}.items():
        assert ('href="/moderation"' in browser(cast, who).get("/adapters").content.decode()) is sees


@pytest.mark.parametrize("who", ["mona", "ada"])
def test_every_page_of_moderation_leads_to_the_others_by_at_most_eight_entries(cast, who):
    client = browser(cast, who)
    page = client.get("/moderation/cases").content.decode()
    entries = entries_of(page)
    assert len(entries) <= 8
    assert "/moderation/cases" in entries
    assert ("/moderation/site" in entries) is (who == "ada")
    for address in entries:
        if address.startswith("/moderation/"):
            shown = client.get(address).content.decode()
            assert entries_of(shown) == entries, address
            assert f'href="{address}" aria-current' in shown, address
            assert "<h1>" in shown, address


def entries_of(page: str) -> list[str]:
    """Return the addresses of the menu at the side."""
    nav = re.search(r'<nav class="frame-nav".*?</nav>', page, re.S)
    return re.findall(r'href="([^"]*)"', nav[0])


def test_a_whole_adapter_is_quarantined_together_with_others_only_after_a_second_look(cast, adapter):
    numbers = [reported(cast).pk, reported(cast, kind="person", id="dave", reason="spam").pk]
    mona, decision = browser(cast, "mona"), {"case": numbers[:1], "outcome": "held", "reason": WHY}
    asked = mona.post("/moderation/close?state=open", decision).content.decode()
    assert "alice/reviews" in asked
    assert f'name="case" value="{numbers[0]}"' in asked
    assert Case.objects.filter(state="closed").count() == 0
    done = mona.post("/moderation/close?state=open", decision | {"sure": "yes"})
    assert done["Location"] == "/moderation/cases?state=open"
    assert Case.objects.get(state="closed").pk == numbers[0]


def test_a_case_is_claimed_noted_and_closed_and_everybody_reads_the_outcome(cast, adapter):
    case = reported(cast)
    mona = browser(cast, "mona")
    assert mona.get(f"/moderation?case={case.pk}")["Location"] == f"/moderation/cases/{case.pk}"
    panel = mona.get(f"/moderation/cases/{case.pk}?state=open&page=1&case=1&page=1").content.decode()
    assert f'href="/moderation/cases/{case.pk}?state=open&amp;page=1"' in panel, "the address does not grow"
    for part in ("Look at run.py.", "run.py", "# Reviews", "Claim", "alice"):
        assert part in panel, part
    mona.post(f"/moderation/cases/{case.pk}/claim")
    mona.post(f"/moderation/cases/{case.pk}/note", {"text": "Known from elsewhere."})
    assert "Known from elsewhere." in mona.get(f"/moderation/cases/{case.pk}").content.decode()
    refused = mona.post(f"/moderation/cases/{case.pk}/close", {"outcome": "held", "reason": " "})
    assert refused.status_code == 400
    decision = {"outcome": "held", "reason": WHY, "strike": "on"}
    asked = mona.post(f"/moderation/cases/{case.pk}/close", decision).content.decode()
    assert "Quarantine every version?" in asked
    assert all(f'name="{name}" value="{value}"' in asked for name, value in decision.items())
    assert Client().get("/alice/reviews").status_code == 200
    closed = mona.post(f"/moderation/cases/{case.pk}/close", decision | {"sure": "yes"})
    assert closed.status_code == 302
    assert Client().get("/alice/reviews").status_code == 404
    assert WHY in browser(cast, "carol").get("/settings/reports", follow=True).content.decode()
    owner = browser(cast, "alice")
    assert WHY in owner.get("/settings/standing").content.decode()
    assert WHY in owner.get("/alice/reviews").content.decode()
    assert Strike.objects.get().user == cast["alice"]


@pytest.mark.parametrize("typed", ["", "alice", "reviews"])
def test_what_cannot_be_undone_needs_the_name(cast, adapter, typed):
    case = reported(cast)
    sent = {"outcome": "taken-down", "reason": WHY, "confirm": typed}
    answer = browser(cast, "mona").post(f"/moderation/cases/{case.pk}/close", sent)
    assert answer.status_code == 400
    assert "Nothing has changed." in answer.content.decode()
    case.refresh_from_db()
    assert case.state == "open"


def test_an_owner_appeals_and_a_moderator_releases(cast, adapter):
    quarantine.quarantine(adapter, cast.session("mona"), reason=WHY)
    alice, mona = browser(cast, "alice"), browser(cast, "mona")
    assert "Appeal" in alice.get("/alice/reviews").content.decode()
    at = alice.post("/alice/reviews/appeal", {"text": "It is a test."})["Location"]
    alice.post(f"{at}/write", {"text": "Really."})
    number = Appeal.objects.get().pk
    mona.post(f"/moderation/appeals/{number}/write", {"text": "Only for us.", "internal": "on"})
    mona.post(f"/moderation/appeals/{number}/write", {"text": "Which file?"})
    page = alice.get(at).content.decode()
    assert "Which file?" in page
    assert "Only for us." not in page
    assert "Only for us." in mona.get(f"/moderation/appeals/{number}").content.decode()
    assert browser(cast, "carol").get(at).status_code == 404
    mona.post(f"/moderation/appeals/{number}/approve", {"reason": "Harmless."})
    assert Client().get("/alice/reviews").status_code == 200


def test_moderators_read_files_of_a_case_by_page_and_by_rest_and_each_look_is_logged(cast, adapter):
    mona = browser(cast, "mona")
    page = "/moderation/files/alice/reviews/at/main/run.py"
    rest = "/api/v1/moderation/adapters/alice/reviews/revisions/main/files/run.py"
    assert (mona.get(page).status_code, mona.get(rest).status_code) == (404, 404)
    quarantine.quarantine(adapter, cast.session("mona"), reason=WHY)
    assert "import os" in mona.get(page).content.decode()
    answer = mona.get(rest)
    assert answer.getvalue() == b"import os\n"
    assert answer["Content-Disposition"].startswith("attachment")
    assert AuditEvent.objects.filter(action="adapter:look", actor="mona").count() == 2
    assert browser(cast, "alice").get(rest).status_code == 403


def test_an_administrator_trusts_a_reporter_and_a_moderator_voids_a_strike(cast, adapter):
    case = reported(cast)
    decision = {"outcome": "warned", "reason": WHY, "strike": "on"}
    browser(cast, "mona").post(f"/moderation/cases/{case.pk}/close", decision)
    ada, mona = browser(cast, "ada"), browser(cast, "mona")
    assert mona.post("/moderation/reporters/carol/trust").status_code == 403
    ada.post("/moderation/reporters/carol/trust")
    cast["carol"].refresh_from_db()
    assert cast["carol"].is_trusted_reporter
    assert "carol" in mona.get("/moderation/reporters").content.decode()
    strike = Strike.objects.get()
    mona.post(f"/moderation/people/alice/strikes/{strike.pk}/void", {"reason": "Too hard."})
    assert "voided: Too hard." in mona.get("/moderation/people/alice").content.decode()


def test_filters_are_in_the_address_and_nonsense_filters_nothing(cast, adapter):
    reported(cast)
    reported(cast, kind="person", id="dave", reason="spam")
    mona = browser(cast, "mona")
    both = {"alice/reviews", ">dave<"}
    shows = {
        "": both, "?reason=spam": {">dave<"}, "?severity=3": {"alice/reviews"}, "?q=REVIEWS": {"alice/reviews"},
        "?target=person&state=open": {">dave<"}, "?state=closed": set(), "?reason=nonsense": both,
        "?page=x&case=y": both, "?source=hub": set(),
    }  # fmt: skip
    for query, names in shows.items():
        page = mona.get(f"/moderation{query}").content.decode()
        assert {name for name in ("alice/reviews", ">dave<") if name in page} == names, query


@pytest.mark.parametrize("count", [5, 50])
def test_the_queue_page_costs_the_same_for_five_cases_and_fifty(cast, adapter, count, django_assert_max_num_queries):
    for number in range(count):
        reported(cast, kind="person", id=person(f"person-{number}").username, reason="spam")
    mona = browser(cast, "mona")
    mona.get("/moderation")
    with django_assert_max_num_queries(12):
        page = mona.get("/moderation").content.decode()
    assert page.count('name="case"') == count


def test_a_view_is_saved_opened_and_removed_and_an_old_case_is_marked(cast, adapter):
    case = reported(cast)
    Case.objects.update(created_at=timezone.now() - timedelta(hours=30))
    mona = browser(cast, "mona")
    page = mona.get("/moderation?state=late&reason=malware")
    assert "over 24 h" in page.content.decode()
    kept = re.search(r'name="query"\s+value="([^"]*)"', page.content.decode())[1]
    saved = mona.post("/moderation/views", {"name": "Late malware", "query": unescape(kept)})
    assert saved["Location"] == "/moderation/cases?state=late&reason=malware"
    shown = mona.get(saved["Location"]).content.decode()
    assert re.search(r'state=late&amp;reason=malware"\s+aria-current="page">Late malware</a>', shown)
    assert f"cases/{case.pk}" in shown
    assert "Late malware" not in browser(cast, "ada").get("/moderation/cases").content.decode()
    view = mona.get("/moderation").context["views"][0]
    assert browser(cast, "ada").post(f"/moderation/views/{view.pk}/remove").status_code == 404
    assert mona.post(f"/moderation/views/{view.pk}/remove").status_code == 302
    assert "Late malware" not in mona.get("/moderation").content.decode()
    refused = mona.post("/moderation/views", {"name": "", "query": "state=late"}, follow=True)
    assert refused.redirect_chain == [("/moderation/cases", 302)]


@pytest.mark.merge
def test_a_hundred_mixed_reports_are_cleared(cast, adapter, capsys):
    """Clear 100 reports with the forms of the page; print how many actions and seconds one takes."""
    reasons, who = Case.Reason.values, ["carol", "dave", "erin", "bob"]
    for number in range(100):
        name = person(f"person-{number}").username if number % 2 else ""
        if not name:
            repository = cast.repository(f"alice/adapter-{number}")
            id, kind = repository.full_name, "adapter"
        else:
            id, kind = name, "person"
        reported(cast, who[number % 4], kind, id, reasons[number % len(reasons)])
    mona, actions, began = browser(cast, "mona"), 0, time.perf_counter()
    while numbers := re.findall(r'name="case"\s+value="(\d+)"', mona.get("/moderation").content.decode()):
        grave = list(Case.objects.filter(pk__in=numbers, severity=3).values_list("pk", "target"))
        for number, kind in grave:  # looked at one by one
            outcome = "held" if kind == "adapter" else "warned"
            mona.post(f"/moderation/cases/{number}/close", {"outcome": outcome, "reason": WHY, "sure": "yes"})
            actions += 2 + (outcome == "held")  # the case, the decision, the second look
        rest = [number for number in numbers if int(number) not in dict(grave)]
        if rest:
            decision = {"case": rest, "outcome": "no-action", "reason": "Nothing is wrong with it."}
            mona.post("/moderation/close", decision)
            actions += 2  # tick and close
    seconds = time.perf_counter() - began
    assert Case.objects.filter(state="closed").count() == 100
    assert Repository.objects.filter(quarantined_at__isnull=False).exists()
    with capsys.disabled():
        print(f"\n100 reports cleared: {actions / 100:.2f} actions and {seconds / 100:.3f} s for each")


# --- who acts --------------------------------------------------------------------------------------------------------
def signed_in(who: str) -> Client:
    """Return the browser of somebody who has just entered the password."""
    client = Client()
    assert client.post("/login", {"username": who, "password": PASSWORD}).status_code == 302
    return client


def test_what_cannot_be_undone_needs_the_password_of_the_last_minutes(cast, adapter):
    case = reported(cast)
    sent = {"outcome": "taken-down", "reason": WHY, "confirm": "alice/reviews"}
    stale = browser(cast, "mona").post(f"/moderation/cases/{case.pk}/close", sent)
    assert stale["Location"].startswith("/settings/security/confirm")
    by_rest = browser(cast, "mona").post("/api/v1/moderation/adapters/alice/reviews/takedown", {"reason": WHY})
    assert by_rest.json()["code"] == "reauthentication-required"
    case.refresh_from_db()
    assert case.state == "open"
    assert signed_in("mona").post(f"/moderation/cases/{case.pk}/close", sent).status_code == 302
    case.refresh_from_db()
    assert case.outcome == "taken-down"
    assert "taken down" not in Client().get("/alice/reviews").content.decode()
    assert WHY in browser(cast, "alice").get("/alice/reviews").content.decode()


def test_a_moderator_with_a_second_factor_must_have_passed_it(cast, adapter):
    Authenticator.objects.create(user=cast["mona"], type=Authenticator.Type.TOTP, data={"secret": "x"})
    mona = browser(cast, "mona")
    case = reported(cast)
    for page in ("/moderation", f"/moderation/cases/{case.pk}", "/moderation/reporters"):
        assert mona.get(page)["Location"].startswith("/settings/security/confirm/code"), page
    assert mona.post(f"/moderation/cases/{case.pk}/claim").status_code == 302
    for path in ("quarantine", "release"):
        answer = mona.post(f"/api/v1/moderation/adapters/alice/reviews/{path}", {"reason": WHY}, "application/json")
        assert answer.json()["code"] == "reauthentication-required"
    assert mona.get("/api/v1/moderation/queue").json()["code"] == "reauthentication-required"
    case.refresh_from_db()
    assert case.state == "open"


def test_rest_takes_the_former_spelling_of_a_reason_and_answers_with_that_of_today(cast, adapter):
    for who, reason in (("carol", "licence"), ("dave", "license")):
        token = {"authorization": f"Bearer {cast.token(who)}"}
        body = {"adapter": "alice/reviews", "reason": reason}
        assert Client().post("/api/v1/reports", body, "application/json", headers=token).status_code in (200, 201)
    assert set(AbuseReport.objects.values_list("reason", flat=True)) == {"license"}
    for asked, found in (("licence", ["license"]), ("license", ["license"]), ("spam", [])):
        queue = browser(cast, "mona").get(f"/api/v1/moderation/queue?reason={asked}").json()
        assert [case["reason"] for case in queue["items"]] == found, asked
    unknown = browser(cast, "mona").get("/api/v1/moderation/queue?reason=licens")
    assert unknown.status_code == 400
    assert "license" in unknown.content.decode()
    assert "licence" not in unknown.content.decode()


def test_rest_takes_reports_and_merges_them_and_moderators_read_the_queue(cast, adapter):
    token = {"authorization": f"Bearer {cast.token('carol')}"}
    body = {"adapter": "alice/reviews", "revision": "main", "reason": "malware", "text": "Look.",
            "evidence": [{"file": "run.py", "line": 1}]}  # fmt: skip
    first = Client().post("/api/v1/reports", body, "application/json", headers=token)
    again = Client().post("/api/v1/reports", body, "application/json", headers=token)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["merged"], again.json()["merged"]) == (False, True)
    target = {"target": {"type": "person", "id": "dave"}, "reason": "spam"}
    assert Client().post("/api/v1/reports", target, "application/json", headers=token).status_code == 201
    for wrong in ({"reason": "spam"}, {**body, **target}, {"adapter": "alice/reviews", "reason": "ugly"}):
        assert Client().post("/api/v1/reports", wrong, "application/json", headers=token).status_code == 400
    missing = {"adapter": "alice/nothing", "reason": "spam"}
    assert Client().post("/api/v1/reports", missing, "application/json", headers=token).status_code == 404
    queue = browser(cast, "mona").get("/api/v1/moderation/queue?limit=1").json()
    assert [item["reason"] for item in queue["items"]] == ["malware"]
    assert [item["reason"] for item in browser(cast, "mona").get(queue["next"]).json()["items"]] == ["spam"]


@pytest.mark.parametrize("state", ["waiting", "closed"])
def test_a_case_that_leaves_the_queue_while_its_pages_are_read_hides_no_other(cast, adapter, state):
    reasons = (("carol", "spam"), ("dave", "malware"), ("erin", "other"), ("bob", "spam"))
    rows = [reported(cast, "carol" if who != "carol" else "dave", "person", who, reason) for who, reason in reasons]
    if state == "closed":
        for case in rows:
            cases.close(case, cast.session("mona"), Decision("no-action", WHY))
    mona, address = browser(cast, "mona"), f"/api/v1/moderation/queue?limit=2&state={state}"
    expected = [item["id"] for item in mona.get(address.replace("limit=2", "limit=9")).json()["items"]]
    first = mona.get(address).json()
    Case.objects.filter(pk=first["items"][0]["id"]).delete()
    second = mona.get(first["next"]).json()
    assert [item["id"] for item in (*first["items"], *second["items"])] == expected
    assert (len(expected), second["next"]) == (4, None)
    for cursor in ("2", "x", first["next"].partition("cursor=")[2].partition("&")[0] + "x"):
        assert mona.get(f"/api/v1/moderation/queue?cursor={cursor}").json()["code"] == "value-invalid"


def test_a_person_reports_thirty_things_an_hour_and_a_trusted_one_more(cast, adapter, settings):
    settings.FIRST_THROTTLE = "on"
    site_settings.clear_cache()
    carol = {"authorization": f"Bearer {cast.token('carol')}"}
    body = {"adapter": "alice/reviews", "reason": "spam"}
    answers = [Client().post("/api/v1/reports", body, "application/json", headers=carol) for _ in range(31)]
    assert [answer.status_code for answer in answers[-2:]] == [200, 429]
    User.objects.filter(username="carol").update(is_trusted_reporter=True)
    assert Client().post("/api/v1/reports", body, "application/json", headers=carol).status_code == 200


@pytest.mark.skipif("dashboard" not in features.FEATURES, reason="the home of a person is a feature")
def test_what_is_held_back_waits_on_the_home_until_the_owner_appeals_and_again_once_it_is_answered(cast, adapter):
    def needs(who: str) -> str:
        page = browser(cast, who).get("/").content.decode()
        return page.partition('id="needs-you"')[2].partition("</section>")[0]

    assert "alice/reviews" not in needs("alice")
    quarantine.quarantine(adapter, cast.session("mona"), reason=WHY)
    assert WHY in needs("alice")
    assert 'href="/alice/reviews"' in needs("alice")
    assert WHY not in needs("bob")
    appeal = appeals.open_appeal(adapter, cast.session("alice"), "It is a demo.")
    assert WHY not in needs("alice"), "now the moderators are to answer"
    appeals.write(appeal, cast.session("mona"), "A note.", internal=True, as_moderator=True)
    assert "A moderator wrote to you" not in needs("alice")
    appeals.write(appeal, cast.session("mona"), "Of what?", as_moderator=True)
    assert "A moderator wrote to you." in needs("alice")
    assert f'href="/settings/appeals/{appeal.pk}"' in needs("alice")
    appeals.write(appeal, cast.session("alice"), "Of sockets.")
    assert "A moderator wrote to you" not in needs("alice")
    appeals.decide(appeal, cast.session("ada"), approve=False, reason="It opens one.")
    assert "Your appeal was rejected." in needs("alice")
    Appeal.objects.update(decided_at=timezone.now() - timedelta(days=8))
    assert "appeal" not in needs("alice")


@pytest.mark.skipif("dashboard" not in features.FEATURES, reason="the home of a person is a feature")
def test_moderators_see_on_their_home_how_many_cases_wait_for_them(cast, adapter):
    def home(who: str) -> str:
        return re.sub(r"\s+", " ", browser(cast, who).get("/").content.decode())

    assert "case waits" not in home("mona")
    case = reported(cast)
    assert "1 case waits; it came" in home("mona")
    assert "case waits" not in home("carol")
    cases.claim(case, cast.session("ada"))
    assert "case waits" not in home("mona"), "ada has it"
    assert "1 case waits; it came" in home("ada")
