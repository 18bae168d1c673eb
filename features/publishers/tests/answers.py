"""The rows of trusted publishers in the tests that walk all of REST."""

from registry.people.tokens.id_tokens import GITHUB, GITLAB

CLAIMS = {"repository": ["acme/train"], "repository_owner_id": ["1"], "workflow_ref": ["acme/train/x.yml@main"]}
JOB = {"repository": "reviews", "issuer": GITHUB, "claims": CLAIMS}
ANSWERS = [
    ("POST", "namespaces/{ns}/publishers", "alice", JOB),
    ("GET", "namespaces/{ns}/publishers", "alice", None),
]
BODIES = {("POST", "/api/v1/namespaces/acme/publishers"): {**JOB, "repository": "public", "type": "model"}}
ELSEWHERE = {"distrust_publisher": "test_rest.py: it needs the number of one"}
OF_GITHUB = {"repository": "acme/train", "repository_owner_id": "1", "workflow": "x.yml", "git_ref": "refs/heads/main"}
OF_GITLAB = {"instance": GITLAB, "project_path": "acme/train", "protected": "true"}
OF_OTHER = {"issued_by": GITLAB, "pinned": "project_path = acme/other"}
SYSTEMS = {"github": OF_GITHUB, "gitlab": OF_GITLAB, "other": OF_OTHER}
PENDING = {"full_name": "acme/fresh", "type": "model"}
GIVING = [
    *(("alice", "POST", f"<ns>/<name>/settings/publishers/{slug}", form) for slug, form in SYSTEMS.items()),
    *(("alice", "POST", f"settings/publishers/{slug}", form | PENDING) for slug, form in SYSTEMS.items()),
    ("alice", "POST", "api/v1/namespaces/<ns>/publishers", {**JOB, "repository": "public", "type": "model"}),
]
DANGEROUS = ["<ns>/<name>/settings/publishers/only"]  # takes a protection away
