"""The rows of tries in the tests that walk all of REST."""

BODIES = {
    ("POST", "/api/v1/adapters/acme/public/revisions/main/try"): {"text": "x", "other": "y", "new_tokens": 1},
}
ELSEWHERE = dict.fromkeys(("try_adapter", "get_try"), "test_tries.py: an engine must have run a version")
