"""An event of the audit log names the credential, the address and the request behind an act."""

import pytest

from registry.kernel import audit
from registry.models import AuditEvent


def test_an_event_tells_the_credential_and_the_address_of_its_request(visit, cast, client):
    token = cast.token("alice")
    client.post(
        "/api/repos/create",
        {"name": "acme/by-token"},
        "application/json",
        headers={"authorization": f"Bearer {token}", "user-agent": "hf_hub/1.2"},
        REMOTE_ADDR="203.0.113.9",
    )
    visit("alice").post("/organizations/new", {"name": "by-session"})
    by_token = AuditEvent.objects.get(action="adapter:create", object="acme/by-token")
    by_session = AuditEvent.objects.get(action="organization:create", object="by-session")
    assert (by_token.credential, by_token.address, by_token.user_agent) == (
        "token:write 0",
        "203.0.113.9",
        "hf_hub/1.2",
    )
    assert (by_session.credential, by_session.address, by_session.role) == ("session", "127.0.0.1", "user")
    assert by_session.request_id


@pytest.mark.parametrize(
    ("setting", "address", "kept"),
    [
        ("full", "203.0.113.77", "203.0.113.77"),
        ("truncated", "203.0.113.77", "203.0.113.0/24"),
        ("truncated", "2001:db8:1:2::7", "2001:db8:1::/48"),
        ("none", "203.0.113.77", ""),
        ("full", "not an address", ""),
    ],
)
def test_an_address_is_kept_as_the_operator_wishes(settings, setting, address, kept):
    settings.AUDIT_ADDRESS = setting
    assert audit.shorten_address(address) == kept


def test_what_the_hub_does_within_a_strangers_request_is_not_the_strangers(cast):
    audit.client.set(audit.Client("203.0.113.5", "curl"))
    audit.request_id.set("theirs")
    with audit.outside_request():
        audit.record(None, "case:observe", "acme/x")
    audit.record(None, "account:sign-in-failed", "alice")
    rows = AuditEvent.objects.order_by("-pk").values_list("action", "address", "request_id")[:2]
    assert list(rows) == [("account:sign-in-failed", "203.0.113.5", "theirs"), ("case:observe", "", "")]
    audit.client.set(None)
    audit.request_id.set("")
