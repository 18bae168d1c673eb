"""The audit log on the website: all of it for moderators, and what concerns them for owners."""

import json
import re

import pytest

from features.audit_log.feature import FEATURE
from hub.site import documentation
from registry.kernel import audit
from registry.models import Membership
from registry.moderation import quarantine
from registry.people.organizations import organizations
from registry.publish import repositories, retirement


@pytest.fixture
def held(cast):
    """A repository of acme that a moderator has quarantined, with a note, and released."""
    repository = cast.repository("acme/reviews")
    for verb in (quarantine.quarantine, quarantine.release):
        verb(repository, cast.session("mona"), reason="A reader saw a pickle.", note="Secret note of the moderators.")
    return repository


def test_moderators_read_and_filter_the_log(visit, cast, held):
    mona = visit("mona")
    page = mona.get("/moderation/log").content.decode()
    assert "adapter:quarantine" in page
    assert "Secret note of the moderators." in page
    page = mona.get("/moderation/log?action=adapter:create&object=acme/reviews").content.decode()
    assert '<code class="small">adapter:create</code>' in page
    assert '<code class="small">adapter:quarantine</code>' not in page
    assert "No event matches." in mona.get("/moderation/log?until=2020-01-01").content.decode()
    assert mona.get("/moderation/log?since=yesterday").status_code == 400
    assert mona.get("/moderation/log?until=9999-12-31").status_code == 200


def test_the_log_has_pages_and_keeps_its_filter(visit, cast):
    for number in range(60):
        audit.record(None, "site:change", f"setting {number}")
    page = visit("mona").get("/moderation/log?action=site:change").content.decode()
    assert "setting 59" in page
    assert "setting 5<" not in page
    older = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "setting 5<" in visit("mona").get(f"/moderation/log{older}").content.decode()


def test_owners_see_what_concerns_them_without_notes_names_of_moderators_and_addresses(visit, cast, held):
    for address in ("/acme/reviews/settings/activity", "/organizations/acme/settings/activity"):
        page = visit("alice").get(address).content.decode()
        assert "adapter:quarantine" in page
        assert "A reader saw a pickle." in page
        assert "Secret note" not in page
        assert "mona" not in page
        assert "a moderator" in page


def test_owners_see_their_own_address_and_not_that_of_colleagues(visit, cast, held, settings):
    for name, address in (("alice", "203.0.113.5"), ("bob", "203.0.113.6")):
        audit.client.set(audit.Client(address, "curl"))
        audit.record(cast[name], "adapter:visibility", "acme/reviews", about=held)
    page = visit("alice").get("/acme/reviews/settings/activity").content.decode()
    assert "203.0.113.5" in page
    assert "203.0.113.6" not in page


def test_a_new_repository_of_an_old_name_does_not_tell_what_was_done_to_the_old_one(visit, cast, held):
    repositories.delete(held, cast.session("alice"))
    cast.repository("acme/reviews")
    page = visit("alice").get("/acme/reviews/settings/activity").content.decode()
    assert "adapter:create" in page
    assert "adapter:quarantine" not in page
    assert "adapter:delete" in visit("alice").get("/organizations/acme/settings/activity").content.decode()


def test_who_does_not_administer_sees_no_activity(visit, cast, held):
    organizations.set_member(cast.acme, cast["carol"], "write", by=cast["alice"])
    for name in ("carol", "bob", "erin"):
        assert visit(name).get("/acme/reviews/settings/activity").status_code == 403
        assert visit(name).get("/organizations/acme/settings/activity").status_code in {403, 404}


def test_owners_read_it_of_an_archived_repository_too(visit, cast, held):
    retirement.archive(held, cast.session("alice"))
    assert visit("alice").get("/acme/reviews/settings/activity").status_code == 200
    for name in ("bob", "carol", "mona"):
        assert visit(name).get("/acme/reviews/settings/activity").status_code == 403


def test_the_menu_leads_moderators_to_a_page_of_theirs_and_from_there_to_the_log(visit):
    for who in ("mona", "ada"):
        menu = visit(who).get("/adapters").content.decode()
        address = re.search(r'<a href="(/moderation[^"]*)">Moderation</a>', menu)
        assert address, who
        assert 'href="/moderation/log"' in visit(who).get(address[1], follow=True).content.decode()
    assert "/moderation" not in visit("alice").get("/adapters").content.decode()


def test_the_export_of_a_person_tells_no_moderator_and_nothing_of_an_organisation_that_was_left(visit, cast):
    cast.repository("acme/covert", by="bob", private=True)
    own = cast.repository("bob/own", by="bob")
    quarantine.quarantine(own, cast.session("mona"), reason="It phones home.")
    visit("bob")
    assert "acme/covert" in json.dumps(exported(cast))
    Membership.objects.filter(user=cast["bob"]).delete()
    log = exported(cast)
    assert any(row["action"] == "adapter:create" for row in log)
    assert ("acme/covert" in json.dumps(log), "mona" in json.dumps(log)) == (False, False)
    assert [row["actor"] for row in log if row["action"] == "adapter:quarantine"] == ["a moderator"]


def exported(cast):
    return [row | {"at": str(row["at"])} for row in dict(FEATURE.personal_data(cast["bob"]))["log"]]


def test_the_search_of_the_documentation_finds_the_section_about_the_log():
    assert documentation.search_docs("audit log").hits[0].section.address == "operate#the-audit-log"
