"""The rows of leaderboards and previews in the tests that walk all of REST."""

ANSWERS = [
    ("GET", "leaderboards", "anonymous", None),
    ("GET", "leaderboards/{task}?sort=size", "anonymous", None),
    ("GET", "adapters/{ns}/{name}/revisions/{rev}/merge-preview?other={ns}/{name}", "anonymous", None),
]
