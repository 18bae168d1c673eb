"""The pages of switches, banner, names and limits, and limits over REST."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from registry.kernel import quotas, site_settings
from registry.kernel.quotas import Limits
from registry.models import NameRule
from registry.people.organizations import organizations
from tests.cast import PASSWORD, Cast


def browser(cast: Cast, who: str) -> Client:
    client = Client()
    client.force_login(cast[who])
    return client


def signed_in(who: str) -> Client:
    """Return the browser of somebody who has just entered the password."""
    client = Client()
    assert client.post("/login", {"username": who, "password": PASSWORD}).status_code == 302
    return client


def test_a_banner_is_previewed_set_shown_on_every_page_and_removed(cast, client):
    ada = browser(cast, "ada")
    text = "The store is moved <b>tonight</b>."
    shown = "The store is moved &lt;b&gt;tonight&lt;/b&gt;."
    page = ada.post("/moderation/site/banner", {"text": text, "level": "warning", "preview": "yes"}).content.decode()
    assert page.count(shown) == 2  # the preview and the field
    assert shown not in client.get("/").content.decode()
    assert ada.post("/moderation/site/banner", {"text": text, "level": "warning"}).status_code == 302
    for path in ("/", "/adapters", "/login", "/no/such/page/at/all"):
        assert shown in client.get(path).content.decode()
    past = {"text": text, "level": "warning", "ends_at": "2020-01-01T00:00"}
    assert ada.post("/moderation/site/banner", past).status_code == 302
    assert shown not in client.get("/").content.decode()
    assert shown in ada.get("/moderation/site").content.decode()
    assert ada.post("/moderation/site/banner", {"text": "", "level": "warning"}).status_code == 400
    soon = ada.post("/moderation/site/banner", {"text": text, "level": "warning", "starts_at": "soon"})
    assert (soon.status_code, 'value="soon"' in soon.content.decode()) == (400, True)
    ada.post("/moderation/site/banner", {"remove": "yes"})
    assert site_settings.stored_banner() is None


def test_moderators_see_names_and_administrators_change_the_rules(cast, client):
    organizations.create_organization("g00gle", by=cast["carol"])
    client.force_login(cast["mona"])
    page = client.get("/moderation/names").content.decode()
    assert "g00gle" in page
    assert "Add</button>" not in page
    assert client.post("/moderation/names", {"patterns": "x"}).status_code == 404
    client.force_login(cast["ada"])
    fields = {"patterns": "corp-*\nprohibited,any,evil,Bad", "kind": "reserved", "scope": "namespace", "reason": "Ours"}
    assert client.post("/moderation/names", fields).status_code == 302
    rule = NameRule.objects.get(pattern="corp-*")
    assert rule.reason == "Ours"
    assert client.post("/moderation/names/remove", {"rule": rule.pk}).status_code == 302
    assert list(NameRule.objects.values_list("pattern", flat=True)) == ["evil"]


def test_an_administrator_sets_limits_on_the_page_and_by_rest(cast):
    ada = browser(cast, "ada")
    form = {"name": "acme", "bytes": "1.5 GB", "repositories": "none", "reason": "A benchmark."}
    assert ada.post("/moderation/quotas", form).status_code == 302
    assert quotas.limits_of(cast.acme.namespace) == Limits(1_500_000_000, 0)
    page = ada.get("/moderation/quotas").content.decode()
    assert "A benchmark." in page
    for wrong in (
        {"bytes": "many"},
        {"name": "nobody"},
        {"reason": ""},
        {"repositories": "5 GB"},
        {"bytes": "9" * 19 + " TB"},
    ):
        assert ada.post("/moderation/quotas", form | wrong).status_code in {400, 404}
    answer = ada.put("/api/v1/quotas/acme", {"bytes": 0, "reason": "More."}, content_type="application/json")
    assert answer.json()["set"] == {"bytes": 0, "repositories": None}
    assert (answer.json()["limit"], answer.json()["repository_limit"], answer.json()["by"]) == (None, 5_000, "ada")
    assert [row["name"] for row in ada.get("/api/v1/quotas").json()["items"]] == ["acme"]
    assert ada.delete("/api/v1/quotas/acme").json()["limit"] == 10**11
    assert ada.get("/api/v1/quotas").json()["items"] == []
    assert browser(cast, "alice").get("/api/v1/quotas/acme").status_code == 403


def test_a_read_only_hub_is_made_writable_on_the_page(cast):
    site_settings.change_setting("read_only", "on", cast["ada"])
    values = {name: site_settings.get_setting(name) for name in site_settings.CHOICES} | {"read_only": "off"}
    assert signed_in("ada").post("/moderation/site/change", values).status_code == 302
    assert site_settings.get_setting("read_only") == "off"


def test_a_change_of_the_site_is_confirmed(cast):
    site = signed_in("ada")
    given = {name: site_settings.get_setting(name) for name in site_settings.CHOICES}
    answer = site.post("/moderation/site/change", given | {"registration": "closed"}, follow=True)
    assert "Site settings saved." in answer.content.decode()
    assert site_settings.get_setting("registration") == "closed"


def test_a_list_of_rules_is_imported_whole_or_not_at_all(db, tmp_path):
    listed = tmp_path / "names.csv"
    listed.write_text("# ours\ncorp-*\nprohibited,any,evilcorp,A brand, not ours\n\n")
    output = io.StringIO()
    call_command("name_rules", str(listed), stdout=output)
    assert "Added 2 rules." in output.getvalue()
    assert set(NameRule.objects.values_list("kind", "scope", "pattern", "reason")) == {
        ("reserved", "namespace", "corp-*", ""),
        ("prohibited", "any", "evilcorp", "A brand, not ours"),
    }
    listed.write_text("fine\nprohibited,nowhere,evil,\n")
    with pytest.raises(CommandError):
        call_command("name_rules", str(listed))
    assert NameRule.objects.count() == 2
