"""The rows of comparisons, leaderboards and previews in the tests that walk all of REST."""

ANSWERS = [
    ("GET", "adapters/{ns}/{name}/compare/{a}...{b}", "anonymous", None),
    ("GET", "bases/{base}/leaderboard", "anonymous", None),
    ("GET", "leaderboards", "anonymous", None),
    ("GET", "leaderboards/{task}?sort=size", "anonymous", None),
    ("GET", "adapters/{ns}/{name}/revisions/{rev}/merge-preview?other={ns}/{name}", "anonymous", None),
]
