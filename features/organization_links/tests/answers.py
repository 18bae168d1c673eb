"""The rows of links in the tests that walk all of REST."""

ANSWERS = [
    ("POST", "organizations/{org}/links", "alice", {"role": "read"}),
    ("GET", "organizations/{org}/links", "alice", None),
]
BODIES = {
    ("POST", "/api/v1/me/invitations/accept"): {"link": "https://example.org/join?invitation=x"},
    ("POST", "/api/v1/organizations/acme/links"): {
        "role": "read",
        "uses": 1,
        "days": 7,
        "email": "dora@example.org",
        "note": "x",
    },
}
SEEDS = [("alice", "POST", "organizations/acme/links", {"role": "read"})]
SENT = {"join_organization": {"link": "x"}}
ELSEWHERE = {"join_organization": "test_rest.py: it needs a link, which one answer alone holds"}
GIVING = [
    ("alice", "POST", "organizations/<ns>/settings/links", {"role": "write", "uses": "1", "days": "7"}),
    ("alice", "POST", "api/v1/organizations/<org>/links", {"role": "read", "uses": 1, "days": 7}),
]
