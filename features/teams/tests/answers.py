"""The rows of teams in the tests that walk all of REST."""

from registry.people.organizations import teams

TEAMS = "organizations/{org}/teams"
ANSWERS = [
    ("POST", TEAMS, "alice", {"name": "ner"}),
    ("PUT", f"{TEAMS}/ner/members/bob", "alice", None),
    ("PUT", f"{TEAMS}/ner/grants/any/ner-*", "alice", {"role": "write"}),
    ("GET", TEAMS, "alice", None),
    ("GET", f"{TEAMS}/ner", "alice", None),
]
OF_A_PERSON = {"teams/ner": "teams/{team}", "grants/any/ner-*": "grants/{type}/{pattern}"}
BODIES = {
    ("POST", "/api/v1/organizations/acme/teams"): {"name": "ner", "full_name": "x"},
    ("PUT", "/api/v1/organizations/acme/teams/first/grants/any/x"): {"role": "read"},
}
SEEDS = [
    ("alice", "POST", "organizations/acme/teams", {"name": "ner"}),
    ("alice", "PUT", "organizations/acme/teams/ner/grants/any/x", {"role": "write"}),
]
SENT = {"create_team": {"name": "pos"}, "put_team_grant": {"role": "write"}}
PAGE, REST = "organizations/<ns>/settings/teams/<team>", "api/v1/organizations/<org>/teams/<team>"
GIVING = [
    ("alice", "POST", f"{PAGE}/members/add", {"username": "erin"}),
    ("alice", "POST", f"{PAGE}/grants/set", {"pattern": "x-*", "role": "admin"}),
    ("alice", "PUT", f"{REST}/members/<user>", {}),
    ("alice", "PUT", f"{REST}/grants/<type>/<pattern>", {"role": "write"}),
]
FURNISH = [lambda cast: teams.create_team(cast.acme, "ner", by=cast["alice"])]
