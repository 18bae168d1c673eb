"""The rows of the questions of gates in the tests that walk all of REST."""

ANSWERS = [("GET", "adapters/{ns}/{name}/access/questions", "anonymous", None)]
