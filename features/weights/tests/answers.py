"""The row of measured weights in the tests that walk all of REST."""

ANSWERS = [("GET", "adapters/{ns}/{name}/revisions/{rev}/weights", "anonymous", None)]
