"""The site administration, by the URLs an administrator's browser uses."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dovetail.adapters.results.report import CheckResult, Report
from features.administration.pages import looking
from features.administration.pages.looking import Looking
from registry.kernel import site_settings
from registry.models import AuditEvent, ModerationDecision, Repository, User, Verdict
from registry.people import accounts
from registry.proof.verdicts import jobs, requests
from tests.cast import PASSWORD, Cast
from tests.site.test_second_factor import set_up_app
from tests.sweep import sweep

PAGES = [
    f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    for model in admin.site._registry
    if model._meta.app_label == "registry"
]


@pytest.fixture
def ada(cast: Cast, client):
    """A browser in which ada, an administrator, is signed in."""
    assert client.post("/login", {"username": "ada", "password": PASSWORD}).status_code == 302
    return client


@pytest.fixture(autouse=True)
def _settings_again(settings):
    settings.DOORBELL = "tests.registry.test_upkeep.notify"
    yield
    site_settings.clear_cache()


def said(response) -> list[str]:
    """Return the messages that the administration showed."""
    return [str(message) for message in response.context["messages"]]


@sweep("name", ["admin:index", *PAGES])
def test_strangers_are_sent_to_the_sites_own_sign_in(db, client, name):
    response = client.get(reverse(name), follow=True)
    assert response.redirect_chain[-1][0].startswith("/login?next=/admin/")


@sweep("who", ["alice", "mona"])
@pytest.mark.parametrize("name", ["admin:index", *PAGES])
def test_for_everybody_but_administrators_there_is_nothing(cast, client, who, name):
    client.force_login(cast[who])
    response = client.get(reverse(name), follow=True)
    assert response.status_code == 404


@pytest.mark.parametrize("name", PAGES)
def test_every_page_can_be_looked_at_and_nothing_added_there(ada, cast, name):
    cast.repository("acme/one")
    assert ada.get(reverse(name)).status_code == 200
    assert ada.get(reverse(name.replace("changelist", "add"))).status_code == 403


def test_no_list_counts_all_adapters_or_looks_which_values_they_have(ada, cast, monkeypatch):
    monkeypatch.setattr(looking, "MOST_LISTED", 2)
    monkeypatch.setattr(admin.site._registry[Repository], "list_per_page", 1)
    newer = [cast.repository(f"acme/{name}") for name in ("none", "one", "two")][2]
    with CaptureQueriesContext(connection) as asked:
        page = ada.get("/admin/registry/repository/?state=").content.decode()
    assert newer.full_name in page
    assert "acme/one" not in page
    listed = [query["sql"] for query in asked if 'FROM "registry_repository"' in query["sql"]]
    assert not [sql for sql in listed if "DISTINCT" in sql or "LIMIT" not in sql], listed
    Repository.objects.filter(pk=newer.pk).update(state="passed", kind="lora")
    monkeypatch.undo()
    for chosen in ("state=passed", "kind=lora", "state=passed&kind=lora"):
        page = ada.get(f"/admin/registry/repository/?{chosen}").content.decode()
        assert ("acme/two" in page, "acme/one" in page) == (True, False), chosen


def test_every_administration_page_only_looks(ada, cast):
    for model in apps.get_app_config("registry").get_models():
        if model in admin.site._registry:
            model_admin = admin.site._registry[model]
            assert isinstance(model_admin, Looking)
            assert not model_admin.list_editable
    assert {model._meta.label for model in admin.site._registry} >= {"registry.User", "registry.Repository"}
    assert "auth.Group" not in {model._meta.label for model in admin.site._registry}


def test_no_page_shows_a_password_or_a_tokens_digest(ada, cast):
    cast.token("alice")
    digest = cast["alice"].tokens.get().sha256
    for url in ("/admin/registry/user/", f"/admin/registry/user/{cast['alice'].pk}/change/"):
        page = ada.get(url).content.decode()
        assert "alice@example.org" in page
        assert cast["alice"].password not in page
        assert digest not in page
    assert ada.get("/admin/password_change/").status_code == 404


def test_the_link_to_change_a_password_leads_to_the_websites_page(ada):
    page = ada.get("/admin/").content.decode()
    assert 'href="/settings/password"' in page
    assert "/admin/password_change/" not in page
    assert ada.get("/settings/password").status_code == 200


def test_a_form_posted_to_a_row_changes_nothing(ada, cast):
    url = f"/admin/registry/user/{cast['alice'].pk}/change/"
    assert ada.post(url, {"username": "root", "role": "admin", "is_active": ""}).status_code == 403
    assert ada.post(f"/admin/registry/user/{cast['alice'].pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.get(pk=cast["alice"].pk).role == "user"


def test_an_adapter_is_quarantined_and_released_with_a_reason(ada, cast):
    repository = cast.repository("acme/bad")
    page = f"/admin/registry/repository/{repository.pk}/change/"
    url = "/admin/registry/repository/act/quarantine/"
    assert f'href="{url}?id={repository.pk}"' in ada.get(page).content.decode()
    assert "acme/bad" in ada.get(url, {"id": repository.pk}).content.decode()
    assert ada.get(url.replace("quarantine", "no-act"), {"id": repository.pk}).status_code == 404
    refused = ada.post(url, {"id": repository.pk, "reason": " "})
    assert refused.status_code == 200
    assert not ModerationDecision.objects.exists()
    done = ada.post(url, {"id": repository.pk, "reason": "It phones home.", "note": "Ticket 7"}, follow=True)
    assert said(done) == ["Quarantine: acme/bad."]
    assert Repository.objects.get().is_quarantined
    event = AuditEvent.objects.get(action="adapter:quarantine")
    assert (event.actor, event.reason, event.note) == ("ada", "It phones home.", "Ticket 7")
    assert event.request_id
    history = ada.get(f"/admin/registry/repository/{repository.pk}/history/", follow=True).content.decode()
    assert "It phones home." in history
    url = url.replace("quarantine", "release")
    assert said(ada.post(url, {"id": repository.pk, "reason": "A mistake."}, follow=True)) == ["Release: acme/bad."]
    assert said(ada.post(url, {"id": repository.pk, "reason": "Again."}, follow=True)) == [
        "Release: acme/bad needed nothing."
    ]
    assert not Repository.objects.get().is_quarantined


def test_many_are_ticked_and_quarantined_at_once(ada, cast):
    chosen = [cast.repository(f"acme/bad-{n}") for n in range(3)]
    cast.repository("acme/good")
    ids = [repository.pk for repository in chosen]
    asked = ada.post("/admin/registry/repository/", {"action": "quarantine", "_selected_action": ids}, follow=True)
    url = asked.redirect_chain[-1][0]
    ada.post(url, {"id": ids, "reason": "A wave of spam."})
    assert set(Repository.objects.filter(quarantined_at__isnull=False)) == set(chosen)
    assert AuditEvent.objects.filter(action="adapter:quarantine").count() == 3
    listed = ada.get("/admin/registry/repository/?quarantined=yes").content.decode()
    assert "acme/bad-0" in listed
    assert "acme/good" not in listed


def test_roles_and_suspensions_go_through_the_verbs(ada, cast):
    bob, base = cast["bob"], "/admin/registry/user/act"
    assert said(ada.post(f"{base}/role/", {"id": bob.pk, "role": "moderator"}, follow=True)) == ["Change role: bob."]
    assert said(ada.post(f"{base}/suspend/", {"id": bob.pk, "reason": "Spam."}, follow=True)) == ["Suspend: bob."]
    assert User.objects.get(pk=bob.pk).role == "moderator"
    assert not User.objects.get(pk=bob.pk).is_active
    assert said(ada.post(f"{base}/unsuspend/", {"id": bob.pk, "reason": "Sorry."}, follow=True)) == [
        "End suspension: bob."
    ]
    actions = AuditEvent.objects.filter(object="bob", actor="ada").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["person:role", "person:suspend", "person:unsuspend"]


@pytest.mark.django_db(transaction=True)  # allauth notes a new factor after the commit
def test_an_administrator_with_a_second_factor_must_have_passed_it(ada, cast):
    set_up_app(ada)
    other = Client()
    other.force_login(cast["ada"])
    for name in ("admin:index", *PAGES):
        assert ada.get(reverse(name)).status_code == 200, name
        question = other.get(reverse(name))["Location"]
        assert question.startswith("/settings/security/confirm/code?next=%2Fadmin%2F"), name


@pytest.mark.parametrize(("act", "fields"), [("role", {"role": "admin"}), ("factors", {"reason": "Lost."})])
def test_roles_and_factors_need_an_administrator_who_proved_it_lately(cast, act, fields):
    client = Client()
    client.force_login(cast["ada"])  # a session that Django began: nothing is known of how
    address = f"/admin/registry/user/act/{act}/"
    assert client.get(address, {"id": cast["bob"].pk}).status_code == 200
    answer = client.post(address, {"id": cast["bob"].pk, **fields})
    assert answer["Location"].startswith("/settings/security/confirm?next=")
    assert User.objects.get(pk=cast["bob"].pk).role == "user"
    assert not AuditEvent.objects.filter(action__in=["person:role", "account:factors-remove"]).exists()
    back = parse_qs(urlsplit(answer["Location"]).query)["next"][0]
    client.post("/settings/security/confirm", {"password": PASSWORD, "next": back})
    assert client.get(back)["Location"] == "/admin/registry/user/", "the form is sent after the proof"
    assert (User.objects.get(pk=cast["bob"].pk).role == "admin") is (act == "role")


def test_a_refusal_of_the_heart_is_told(ada, cast):
    own = {"id": cast["ada"].pk, "role": "user"}
    [message] = said(ada.post("/admin/registry/user/act/role/", own, follow=True))
    assert "only administrator" in message


def test_a_verdict_shows_its_checks_and_is_asked_for_again(ada, cast):
    revision = cast.repository("acme/one").refs.get().revision
    verdict = requests.request(revision, "")
    claim = jobs.claim(verdict.pk, "w")
    check = CheckResult("tensors.not-finite", "failed", "<script>NaN", "Train again.")
    jobs.record(claim, Report(state="failed", checks=(check,)), 12)
    page = ada.get(f"/admin/registry/verdict/{verdict.pk}/change/").content.decode()
    assert "tensors.not-finite" in page
    assert "&lt;script&gt;NaN" in page
    again = "/admin/registry/verdict/act/again/"
    assert said(ada.post(again, {"id": verdict.pk}, follow=True))[0].startswith("Validate again: acme/one@")
    assert said(ada.post(again, {"id": verdict.pk}, follow=True))[0].endswith("needed nothing.")
    assert list(Verdict.objects.order_by("number").values_list("state", flat=True)) == ["failed", "queued"]
    assert AuditEvent.objects.get(action="verdict:request").object.startswith("acme/one@")


def test_site_settings_change_in_one_form_and_are_logged(ada, cast):
    url = "/admin/registry/sitesetting/"
    assert "Pull policy" in ada.get(url).content.decode()
    wanted = {name: site_settings.get_setting(name) for name in site_settings.CHOICES} | {"registration": "closed"}
    assert said(ada.post(url, wanted, follow=True)) == ["Changed: registration."]
    assert site_settings.get_setting("registration") == "closed"
    assert AuditEvent.objects.get(action="site:change").actor == "ada"
    assert ada.post(url, wanted | {"pull_policy": "maybe"}).status_code == 200
    assert site_settings.get_setting("pull_policy") == "open"


def test_the_log_is_only_read(ada, cast):
    event = AuditEvent.objects.first()
    page = f"/admin/registry/auditevent/{event.pk}/change/"
    assert ada.get(page).status_code == 200
    for url in (page, page.replace("change", "delete")):
        assert ada.post(url, {"reason": "rewritten", "post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": [event.pk], "post": "yes"}
    ada.post("/admin/registry/auditevent/", selected)
    assert AuditEvent.objects.filter(pk=event.pk, reason="").exists()


@pytest.mark.parametrize("ids", [[], ["999999999"], ["x"], ["1' OR 1=1"], ["9" * 30], ["²"]])
def test_acting_on_nothing_is_not_found(ada, cast, ids):
    assert ada.post("/admin/registry/repository/act/quarantine/", {"id": ids, "reason": "x"}).status_code == 404


@pytest.mark.parametrize("page", ["repository", "user", "verdict", "auditevent", "organization"])
def test_lists_take_as_many_queries_for_many_rows_as_for_few(ada, cast, page, django_assert_max_num_queries):
    for n in range(8):
        repository = cast.repository(f"acme/one-{n}")
        requests.request(repository.refs.get().revision, "")
        accounts.create_person(f"zoe{n}")
    ada.get("/admin/")  # the first page of a session notes its use
    with django_assert_max_num_queries(12):
        assert ada.get(f"/admin/registry/{page}/").status_code == 200


def test_adapters_are_found_by_the_name_that_everybody_writes(ada, cast):
    for name in ("acme/one", "acme/other"):
        cast.repository(name)
    page = ada.get("/admin/registry/repository/?q=acme/one").content.decode()
    assert 'href="/acme/one"' in page
    assert 'href="/acme/other"' not in page


@pytest.mark.parametrize(("who", "may_enter"), [("alice", False), ("mona", False), ("ada", True)])
def test_the_menu_leads_each_role_to_pages_that_are_there_for_it(cast, client, who, may_enter):
    client.force_login(cast[who])
    links = set(re.findall(r'href="(/(?!static/)[^"#?]*)"', client.get("/").content.decode()))
    assert ("/admin/" in links) == may_enter
    assert {link: client.get(link).status_code for link in links if client.get(link).status_code >= 400} == {}
