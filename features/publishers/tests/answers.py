"""The rows of trusted publishers in the tests that walk all of REST."""

from registry.people.tokens.id_tokens import GITHUB

CLAIMS = {"repository": ["acme/train"], "repository_owner_id": ["1"], "workflow_ref": ["acme/train/x.yml@main"]}
JOB = {"repository": "reviews", "issuer": GITHUB, "claims": CLAIMS}
ANSWERS = [
    ("POST", "namespaces/{ns}/publishers", "alice", JOB),
    ("GET", "namespaces/{ns}/publishers", "alice", None),
]
BODIES = {("POST", "/api/v1/namespaces/acme/publishers"): {**JOB, "repository": "public", "type": "model"}}
ELSEWHERE = {"distrust_publisher": "test_rest.py: it needs the number of one"}
