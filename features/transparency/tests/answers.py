"""The row of transparency in the tests that walk all of REST."""

ANSWERS = [("GET", "transparency", "anonymous", None)]
