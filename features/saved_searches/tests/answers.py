"""The rows of saved searches in the tests that walk all of REST."""

ANSWERS = [
    ("POST", "me/searches", "alice", {"name": "Small ones", "query": "size_max=1000000"}),
    ("GET", "me/searches", "alice", None),
]
BODIES = {("POST", "/api/v1/me/searches"): {"name": "small", "type": "model", "query": "size_max=1000000&base=x"}}
