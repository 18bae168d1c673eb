"""The row of the audit log in the tests that walk all of REST."""

ANSWERS = [("GET", "moderation/log", "mona", None)]
