"""The rows of reports and of the queue in the tests that walk all of REST."""

SPAM = {"adapter": "alice/reviews", "reason": "spam", "text": "An advertisement."}
ANSWERS = [("POST", "reports", "carol", SPAM), ("GET", "moderation/queue", "mona", None)]
BODIES = {
    ("POST", "/api/v1/reports"): {
        "target": {"type": "person", "id": "carol"},
        "reason": "spam",
        "text": "x",
        "evidence": [{"commit": "a" * 40, "file": "README.md", "line": 1, "end_line": 2, "tensor": "x"}],
    },
}
SEEDS = [("bob", "POST", "reports", SPAM)]
