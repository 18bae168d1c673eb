"""The download of what the hub knows about a person."""

import io
import json
from typing import Any
from zipfile import ZipFile

from allauth.socialaccount.models import SocialAccount
from django.test import Client

from features.account_export import pages
from registry.models import AccessRequest, Membership, SignInPlace, Token
from registry.moderation import quarantine


def test_the_export_has_ones_own_data_and_no_secret(visit, cast):
    cast.repository("alice/reviews")
    value = cast.token("alice")
    files = exported(visit("alice"))
    assert files["profile.json"][0]["email"] == "alice@example.org"
    assert [row["id"] for row in files["repositories.json"]] == ["alice/reviews"]
    whole = json.dumps(files)
    assert value not in whole
    assert Token.objects.get().sha256 not in whole
    assert "bob@example.org" not in whole


def test_the_export_tells_no_moderator_and_nothing_of_an_organisation_that_was_left(visit, cast):
    cast.repository("acme/covert", by="bob", private=True)
    own = cast.repository("bob/own", by="bob")
    quarantine.quarantine(own, cast.session("mona"), reason="It phones home.")
    bob = visit("bob")
    assert "acme/covert" in json.dumps(exported(bob))
    Membership.objects.filter(user=cast["bob"]).delete()
    files = exported(bob)
    assert ("acme/covert" in json.dumps(files), "mona" in json.dumps(files)) == (False, False)
    assert [row["id"] for row in files["repositories.json"]] == ["bob/own"]


def exported(browser: Client) -> dict[str, list[dict[str, Any]]]:
    sent: Any = browser.post("/settings/account/export")
    archive = ZipFile(io.BytesIO(b"".join(sent.streaming_content)))
    return {name: json.loads(archive.read(name)) for name in archive.namelist()}


def test_the_export_has_the_answers_before_a_gate_of_the_one_who_gave_them(cast):
    gated = cast.repository("alice/gated")
    AccessRequest.objects.create(repository=gated, user=cast["carol"], status="pending", answers={"Country": "FR"})
    assert '"Country": "FR"' in dict(pages.documents(cast["carol"]))["access-requests.json"]
    assert "Country" not in dict(pages.documents(cast["bob"]))["access-requests.json"]


def test_the_page_of_the_account_offers_it(visit):
    assert 'action="/settings/account/export"' in visit("alice").get("/settings/account").content.decode()


def test_the_export_has_the_identities_and_places_of_a_person(cast):
    bob = cast["bob"]
    SocialAccount.objects.create(user=bob, provider="corp", uid="bob", extra_data={"email": bob.email})
    SignInPlace.objects.create(user=bob, sha256="a" * 64)
    documents = dict(pages.documents(bob))
    assert bob.email in documents["identities.json"]
    assert "a" * 64 in documents["sign-in-places.json"]
