"""What the walks over all of REST ask of leaderboards and previews."""

ANSWERS = [
    ("GET", "leaderboards", "anonymous", None),
    ("GET", "leaderboards/{task}?sort=size", "anonymous", None),
    ("GET", "adapters/{ns}/{name}/revisions/{rev}/merge-preview?other={ns}/{name}", "anonymous", None),
]
