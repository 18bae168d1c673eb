"""The rows of the blocklist in the tests that walk all of REST."""

BLOCKLIST = "moderation/blocklist"
ANSWERS = [
    ("POST", BLOCKLIST, "mona", {"sha256": ["0" * 64], "reason": "x"}),
    ("GET", BLOCKLIST, "mona", None),
]
BODIES = {("POST", f"/api/v1/{BLOCKLIST}"): {"sha256": ["a" * 64], "reason": "x", "note": "y"}}
SEEDS = [("mona", "POST", BLOCKLIST, {"sha256": ["0" * 64], "reason": "x"})]
