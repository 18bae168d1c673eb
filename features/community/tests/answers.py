"""The rows of followed bases in the tests that walk all of REST."""

ANSWERS = [
    ("PUT", "me/bases/{base}", "alice", None),
    ("GET", "me/bases/{base}", "alice", None),
    ("GET", "me/bases", "alice", None),
    ("DELETE", "me/bases/{base}", "alice", None),
    ("PUT", "me/bases/{base}/asked", "alice", None),
]
