"""People and sharing, asked by hand: gates, members, sign-ins, quotas."""

from urllib.parse import urlencode

import pytest
from django.test import Client

from registry.kernel.texts import cursors
from registry.models import AuditEvent, Repository, User
from registry.people import gates
from registry.repos import manifest
from tests.hf.test_refusals import refused
from tests.hf.wire import Wire, file, header, lfs_file

GATED = "acme/gated"


@pytest.fixture
def gated(cast, wire: Wire) -> Repository:
    """An adapter of acme with an automatic gate, a text file and one that travels by LFS."""
    repository = cast.repository(GATED)
    wire.push(GATED, {"adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "acme/base"}'})
    wire.deliver(GATED, b"weights")
    assert wire.commit(GATED, header(), lfs_file("w.onnx", b"weights")).status_code == 200
    assert wire.ask("PUT", f"/api/models/{GATED}/settings", {"gated": "auto"}).json()["gated"] == "auto"
    repository.refresh_from_db()
    return repository


# --- gates -----------------------------------------------------------------------------------------------------------
ROADS = {
    "resolve": ("GET", f"/{GATED}/resolve/main/adapter_config.json"),
    "head": ("HEAD", f"/{GATED}/resolve/main/w.onnx"),
    "raw": ("GET", f"/{GATED}/raw/main/w.onnx"),
    "xet": ("GET", f"/api/models/{GATED}/xet-read-token/main"),
    "auth-check": ("GET", f"/api/models/{GATED}/auth-check"),
}


@pytest.mark.parametrize(("method", "path"), ROADS.values(), ids=ROADS.keys())
def test_no_road_to_the_bytes_leads_past_the_gate(wire: Wire, cast, gated, method, path):
    for who, status in (("nobody", 401), ("carol", 403), (cast.token("carol", "read"), 403), ("mona", 403)):
        answer = wire.ask(method, path, who=who)
        assert (answer.status_code, answer["X-Error-Code"]) == (status, "GatedRepo"), who
    said = wire.get(f"/{GATED}/resolve/main/w.onnx", who="carol").json()
    assert said["error"].startswith(f"Access to model {GATED} is restricted and you are not in the authorized list")
    for who in ("alice", "bob", "erin", cast.token("erin", "read")):
        assert wire.ask(method, path, who=who).status_code == 200, who
    gates.request_access(gated, cast.session("carol"))
    assert wire.ask(method, path, who="carol").status_code == 200
    other = cast.token("carol", "fine-grained", acme__other="read")
    assert wire.ask(method, path, who=other).status_code == 403


def test_our_rest_and_the_website_keep_the_bytes_behind_the_gate_too(cast, gated):
    browser = Client()
    browser.force_login(cast["carol"])
    page, files = f"/{GATED}", f"/api/v1/adapters/{GATED}/revisions/main"
    assert browser.get(f"{files}/files/w.onnx").status_code == 403
    assert browser.get(files).json()["config"] is None
    assert browser.get(f"{page}/blob/main/adapter_config.json").status_code == 403
    assert browser.get(f"{page}/resolve/main/adapter_config.json").status_code == 403
    assert browser.get(f"{page}/tree/main").status_code == 200
    gates.request_access(gated, cast.session("carol"))
    assert browser.get(files).json()["config"]["peft_type"] == "LORA"
    assert browser.get(f"{page}/blob/main/adapter_config.json").status_code == 200


@pytest.mark.parametrize(
    "path", ["", "/revision/main", "/tree/main", "/refs", "/commits/main", "/revision/main?blobs=true"]
)
def test_what_is_said_of_a_gated_repository_stays_open(wire: Wire, gated, path):
    assert wire.get(f"/api/models/{GATED}{path}", who="nobody").status_code == 200
    assert wire.get(f"/api/models/{GATED}", who="nobody").json()["gated"] == "auto"


def test_the_digest_of_a_gated_file_is_no_way_to_have_it(wire: Wire, cast, gated):
    cast.repository("carol/own", by="carol")
    claim = lfs_file("w.onnx", b"weights")
    refused(wire.commit("carol/own", header(), claim, who="carol"), 400, "blob-unknown", "w.onnx")
    assert "upload" in wire.offer("carol/own", b"weights", who="carol").json()["objects"][0]["actions"]
    gates.request_access(gated, cast.session("carol"))
    assert wire.commit("carol/own", header(), claim, who="carol").status_code == 200


def test_lists_can_leave_gated_repositories_out(wire: Wire, cast, gated):
    cast.repository("acme/open")
    listed = lambda query: [one["id"] for one in wire.get(f"/api/models?{query}", who="nobody").json()]
    assert sorted(listed("")) == [GATED, "acme/open"]
    assert listed("gated=true") == [GATED]
    assert listed("gated=False") == ["acme/open"]


def test_requests_are_their_owners_business(wire: Wire, cast, gated):
    at = f"/api/models/{GATED}/user-access-request"
    for who in ("bob", "erin", "carol", cast.token("alice", "read")):
        refused(wire.get(f"{at}/pending", who=who), 403, "not-allowed")
        refused(wire.ask("POST", f"{at}/grant", {"user": "carol"}, who=who), 403, "not-allowed")
        refused(wire.ask("POST", f"{at}/handle", {"user": "carol", "status": "accepted"}, who=who), 403, "not-allowed")
    refused(wire.ask("PUT", f"/api/models/{GATED}/settings", {"gated": False}, who="bob"), 403, "not-allowed")
    assert Repository.objects.get(name="gated").gated == "auto"


def test_a_manual_gate_opens_when_its_owner_says_so(wire: Wire, cast, gated):
    at = f"/api/models/{GATED}/user-access-request"
    wire.ask("PUT", f"/api/models/{GATED}/settings", {"gated": "manual"})
    gated.refresh_from_db()
    gates.request_access(gated, cast.session("carol"), "For a study.")
    refused(wire.get(f"/{GATED}/resolve/main/w.onnx", who="carol"), 403, "access-required", hub_code="GatedRepo")
    (asked,) = wire.get(f"{at}/pending").json()
    assert asked["user"]["email"] == "carol@example.org"
    assert (asked["fields"], asked["status"]) == ({"text": "For a study."}, "pending")
    decision = {"requestId": asked["requestId"], "status": "accepted"}
    assert wire.ask("POST", f"{at}/handle", decision).status_code == 200
    refused(wire.ask("POST", f"{at}/handle", decision), 404, "access-request-not-found", "already")
    assert wire.get(f"/{GATED}/resolve/main/w.onnx", who="carol").status_code == 200
    assert AuditEvent.objects.filter(action="access:decide", object=f"{GATED}/carol").count() == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"user": "carol", "status": "accepted"}, 404, "access-request-not-found"),
        ({"user": "carol", "status": "perhaps"}, 404, "access-request-not-found"),
        ({"status": "accepted"}, 400, "value-invalid"),
        ({"user": "carol", "requestId": "1", "status": "accepted"}, 400, "value-invalid"),
        ({"requestId": "zz", "status": "accepted"}, 404, "access-request-not-found"),
        ({"requestId": "f" * 24, "status": "accepted"}, 404, "access-request-not-found"),
    ],
)
def test_a_decision_about_nothing_is_refused(wire: Wire, gated, body, status, code):
    refused(wire.ask("POST", f"/api/models/{GATED}/user-access-request/handle", body), status, code)


def test_a_request_for_another_adapter_cannot_be_decided_here(wire: Wire, cast, gated):
    cast.repository("alice/other")
    wire.ask("PUT", "/api/models/alice/other/settings", {"gated": "manual"})
    asked = gates.request_access(Repository.objects.get(name="other"), cast.session("carol"))
    body = {"requestId": cursors.format_hub_id(asked.pk), "status": "accepted"}
    refused(wire.ask("POST", f"/api/models/{GATED}/user-access-request/handle", body), 404, "access-request-not-found")


@pytest.mark.parametrize("gate", ["maybe", True, 1, {"a": 1}])
def test_a_gate_of_another_kind_is_refused(wire: Wire, gated, gate):
    refused(wire.ask("PUT", f"/api/models/{GATED}/settings", {"gated": gate}), 400, "value-invalid")


# --- people ----------------------------------------------------------------------------------------------------------
def test_who_is_suspended_is_in_no_list_of_members(wire: Wire, cast):
    User.objects.filter(username="bob").update(is_active=False)
    assert "bob" not in [one["user"] for one in wire.get("/api/organizations/acme/members").json()]


def test_lists_come_in_pages_that_lead_on(wire: Wire, cast):
    first = wire.get("/api/organizations/acme/members?limit=3")
    path = "/" + first["Link"].split(">")[0].split("/", 3)[3]
    names = [one["user"] for page in (first, wire.get(path)) for one in page.json()]
    assert sorted(names) == ["alice", "bob", "dave", "erin"]
    refused(wire.get("/api/organizations/acme/members?cursor=x"), 400, "value-invalid")


def test_repositories_with_their_sizes_are_listed_for_those_they_belong_to(wire: Wire, cast):
    cast.repository("acme/secret", private=True)
    wire.push("acme/secret", {"x": b"12345"})
    (shown,) = wire.get("/api/organizations/acme/settings/repositories", who="erin").json()
    assert (shown["id"], shown["type"], shown["visibility"]) == ("acme/secret", "model", "private")
    assert shown["storage"] == 5 + len(manifest.GITATTRIBUTES)
    refused(wire.get("/api/organizations/acme/settings/repositories", who="carol"), 403, "not-allowed")
    assert wire.get("/api/settings/repositories", who="carol").json() == []


# --- tokens by OAuth --------------------------------------------------------------------------------------------------
def form(wire: Wire, path: str, **fields: str):
    kind = "application/x-www-form-urlencoded"
    return wire.ask("POST", path, urlencode(fields).encode(), who="nobody", Content_Type=kind)


def test_what_oauth_has_and_this_hub_has_not_is_said(wire: Wire, cast):
    assert form(wire, "/oauth/token", grant_type="refresh_token").json()["error"] == "invalid_grant"
    assert form(wire, "/oauth/token", grant_type="password").json()["error"] == "unsupported_grant_type"


# --- quotas ----------------------------------------------------------------------------------------------------------
def test_a_namespace_holds_as_many_bytes_as_its_quota(wire: Wire, cast, settings):
    cast.repository("alice/reviews")
    wire.push("alice/reviews", {"a": b"x" * 1000})
    settings.QUOTA_BYTES = 1000 + len(manifest.GITATTRIBUTES) + 500
    asked = {"files": [{"path": "b", "size": 501, "sample": ""}]}
    refused(wire.ask("POST", "/api/models/alice/reviews/preupload/main", asked), 403, "quota-exceeded", "501")
    refused(wire.offer("alice/reviews", b"y" * 501), 403, "quota-exceeded")
    same = {"files": [{"path": "a", "size": 1000, "sample": ""}]}
    assert wire.ask("POST", "/api/models/alice/reviews/preupload/main", same).status_code == 200
    wire.push("alice/reviews", {"copy": b"x" * 1000})  # the same bytes take no more room
    wire.push("alice/reviews", {"b": b"y" * 500})
    refused(wire.commit("alice/reviews", header(), file("c", b"z")), 403, "quota-exceeded")


def test_nobody_sends_without_end_what_he_never_pushes(wire: Wire, cast, settings):
    cast.repository("acme/model")
    settings.QUOTA_BYTES = 10_000
    statuses = [wire.offer("acme/model", bytes([n]) * 8_000, who="carol").status_code for n in range(3)]
    assert statuses == [200, 200, 403]
    refused(wire.offer("acme/model", b"more", who="carol"), 403, "quota-exceeded", "bytes today")
    assert wire.offer("acme/model", b"mine", who="bob").status_code == 200


def test_what_strangers_propose_takes_a_tenth_of_the_room(wire: Wire, cast, settings):
    cast.repository("alice/reviews")
    settings.QUOTA_BYTES = 10_000
    assert wire.commit("alice/reviews", header(), file("a", b"a" * 6_000)).status_code == 200
    assert wire.propose("alice/reviews", file("b", b"b" * 700), who="carol").status_code == 200
    refused(
        wire.propose("alice/reviews", file("c", b"c" * 301), who="bob"), 403, "quota-exceeded", "Pull requests to alice"
    )
    assert wire.propose("alice/reviews", file("c", b"c" * 300), who="bob").status_code == 200
    assert wire.commit("alice/reviews", header(), file("d", b"d" * 1_000)).status_code == 200
    settings.QUOTA_BYTES = 0
    assert wire.propose("alice/reviews", file("e", b"e" * 5_000), who="carol").status_code == 200


def test_a_namespace_has_as_many_repositories_as_its_quota(wire: Wire, cast, settings):
    settings.QUOTA_REPOSITORIES = 2
    make = lambda name: wire.ask("POST", "/api/repos/create", {"name": name})
    assert [make(name).status_code for name in ("a", "b", "a")] == [200, 200, 409]
    refused(make("c"), 403, "quota-exceeded", "2 repositories")
    assert Repository.objects.count() == 2
